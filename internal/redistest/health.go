package redistest

import (
	"context"
	"fmt"
	"strconv"
)

// unhealthy returns a reason why the cluster is not healthy, or nil.
func (c *Cluster) unhealthy(ctx context.Context) error {
	role := make(map[string]string) // a node's id → "master", or the id it replicates
	for _, n := range c.Nodes() {
		all, err := n.members(ctx)
		if err != nil {
			return err
		}
		self := all[0]
		role[self.id] = "master"
		if self.is("slave") {
			role[self.id] = self.master
		}
	}
	for _, n := range c.Nodes() {
		if err := n.misjudges(ctx, role); err != nil {
			return err
		}
	}
	offset := make(map[string]int64)
	for _, n := range c.Nodes() {
		if err := n.readOffset(ctx, role, offset); err != nil {
			return err
		}
	}
	for _, n := range c.Nodes() {
		if err := n.behind(ctx, role, offset); err != nil {
			return err
		}
	}
	return nil
}

// misjudges returns a difference between a node's view of the cluster and each
// node's view of itself.
func (n *Node) misjudges(ctx context.Context, role map[string]string) error {
	all, err := n.members(ctx)
	if err != nil {
		return err
	}
	if len(all) != len(role) {
		return fmt.Errorf("%s knows %d nodes", n, len(all))
	}
	replicated := make(map[string]bool)
	for _, m := range all {
		seen := m.master
		if m.is("master") {
			seen = "master"
		}
		if seen != role[m.id] || m.is("fail") || m.is("fail?") || m.is("handshake") || !m.linked {
			return fmt.Errorf("%s sees %s as %v", n, m.id, m.flags)
		}
		replicated[m.master] = true
	}
	for id, r := range role {
		if r == "master" && !replicated[id] {
			return fmt.Errorf("the master %s has no replica", id)
		}
	}
	info, err := n.info(ctx, "CLUSTER", "INFO")
	if err != nil {
		return err
	}
	if info["cluster_state"] != "ok" || info["cluster_slots_ok"] != strconv.Itoa(slots) {
		return fmt.Errorf("cluster_state on %s is %q with %s slots", n, info["cluster_state"], info["cluster_slots_ok"])
	}
	return nil
}

// readOffset stores a master's replication offset in offset.
func (n *Node) readOffset(ctx context.Context, role map[string]string, offset map[string]int64) error {
	id, err := n.identity(ctx)
	if err != nil || role[id] != "master" {
		return err
	}
	info, err := n.info(ctx, "INFO", "replication")
	if err != nil {
		return err
	}
	offset[id], err = strconv.ParseInt(info["master_repl_offset"], 10, 64)
	return err
}

// behind returns an error if a replica has not reached its master's offset.
func (n *Node) behind(ctx context.Context, role map[string]string, offset map[string]int64) error {
	id, err := n.identity(ctx)
	if err != nil || role[id] == "master" {
		return err
	}
	info, err := n.info(ctx, "INFO", "replication")
	if err != nil {
		return err
	}
	if info["master_link_status"] != "up" {
		return fmt.Errorf("the link of %s to its master is %q", n, info["master_link_status"])
	}
	got, err := strconv.ParseInt(info["slave_repl_offset"], 10, 64)
	if err != nil {
		return err
	}
	if want := offset[role[id]]; got < want {
		return fmt.Errorf("%s is at offset %d of %d", n, got, want)
	}
	return nil
}
