package redistest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const slots = 16384

// Slot returns the hash slot of a key: the CRC-16 (XMODEM) of the key, or of the
// text between its first { and the next } unless that is empty.
func Slot(key string) int {
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			high := crc&0x8000 != 0
			crc <<= 1
			if high {
				crc ^= 0x1021
			}
		}
	}
	return int(crc % slots)
}

// Master returns the running node that claims to serve the key's slot. If two nodes
// claim it, as after a pause, Master returns the one with the later claim. It is
// fatal if no running node serves the slot, as between a failure and its failover:
// see [Cluster.AwaitMaster].
func (c *Cluster) Master(key string) *Node {
	ctx, cancel := context.WithTimeout(context.Background(), faultLimit)
	defer cancel()
	n, err := c.owner(ctx, Slot(key))
	c.must("find the master of "+strconv.Quote(key), err)
	return n
}

// Replica returns a running node that replicates the given one.
func (c *Cluster) Replica(of *Node) *Node {
	ctx, cancel := context.WithTimeout(context.Background(), faultLimit)
	defer cancel()
	n, err := c.replica(ctx, of)
	c.must(fmt.Sprintf("find the replica of %s", of), err)
	return n
}

// AwaitMaster waits until a node other than not (which may be nil) serves the key's
// slot and every other running node agrees and reports cluster_state ok. It returns
// the new master.
func (c *Cluster) AwaitMaster(key string, not *Node) *Node {
	ctx, cancel := context.WithTimeout(context.Background(), faultLimit)
	defer cancel()
	var master *Node
	err := await(ctx, func(ctx context.Context) (err error) {
		master, err = c.owner(ctx, Slot(key))
		if err != nil {
			return err
		}
		if master == not {
			return fmt.Errorf("%s still serves the slot", not)
		}
		return c.disagreement(ctx, Slot(key), master, not)
	})
	c.must("await a master of "+strconv.Quote(key), err)
	return master
}

// AwaitHealthy waits until all nodes run, agree on their roles and report
// cluster_state ok with every slot served, and every master has a connected replica
// that holds what the master held a moment ago.
func (c *Cluster) AwaitHealthy() {
	ctx, cancel := context.WithTimeout(context.Background(), faultLimit)
	defer cancel()
	c.must("await a healthy cluster", await(ctx, c.unhealthy))
}

// A member is one line of CLUSTER NODES: a node as another, or itself, sees it.
type member struct {
	id     string
	flags  []string
	master string // the id of the node it replicates, or "-"
	epoch  int64
	linked bool
	slots  []string // "7", "0-5460", or a moving slot: "[93-<-…]"
}

func (m member) is(flag string) bool { return slices.Contains(m.flags, flag) }

func (m member) serves(slot int) bool {
	return slices.ContainsFunc(m.slots, func(s string) bool {
		first, last, isRange := strings.Cut(s, "-")
		from, err := strconv.Atoi(first)
		if err != nil {
			return false
		}
		to := from
		if isRange {
			to, err = strconv.Atoi(last)
		}
		return err == nil && from <= slot && slot <= to
	})
}

// members returns the cluster as one node sees it, itself first.
func (n *Node) members(ctx context.Context) ([]member, error) {
	text, err := n.text(ctx, "CLUSTER", "NODES")
	if err != nil {
		return nil, err
	}
	var all []member
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 {
			return nil, fmt.Errorf("CLUSTER NODES on %s: a line of %d fields", n, len(f))
		}
		epoch, err := strconv.ParseInt(f[6], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("CLUSTER NODES on %s: %w", n, err)
		}
		m := member{f[0], strings.Split(f[2], ","), f[3], epoch, f[7] == "connected", f[8:]}
		if m.is("myself") {
			all = slices.Insert(all, 0, m)
		} else {
			all = append(all, m)
		}
	}
	if len(all) == 0 || !all[0].is("myself") {
		return nil, fmt.Errorf("CLUSTER NODES on %s: it does not know itself", n)
	}
	return all, nil
}

func (c *Cluster) owner(ctx context.Context, slot int) (*Node, error) {
	var owner *Node
	var epoch int64
	for _, n := range c.running() {
		all, err := n.members(ctx)
		if err != nil {
			return nil, err
		}
		self := all[0]
		if self.is("master") && self.serves(slot) && (owner == nil || self.epoch > epoch) {
			owner, epoch = n, self.epoch
		}
	}
	if owner == nil {
		return nil, fmt.Errorf("no running node serves slot %d", slot)
	}
	return owner, nil
}

func (c *Cluster) replica(ctx context.Context, of *Node) (*Node, error) {
	id, err := of.identity(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range c.running() {
		all, err := n.members(ctx)
		if err != nil {
			return nil, err
		}
		if all[0].master == id {
			return n, nil
		}
	}
	return nil, errors.New("no running node replicates it")
}

// disagreement returns an error if a running node other than except does not see
// the slot at its owner or is not ok.
func (c *Cluster) disagreement(ctx context.Context, slot int, owner, except *Node) error {
	id, err := owner.identity(ctx)
	if err != nil {
		return err
	}
	for _, n := range c.running() {
		if n == except {
			continue
		}
		all, err := n.members(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(m member) bool { return m.id == id && m.serves(slot) }) {
			return fmt.Errorf("%s does not see slot %d at %s", n, slot, owner)
		}
		if err := n.notOK(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) notOK(ctx context.Context) error {
	info, err := n.info(ctx, "CLUSTER", "INFO")
	if err != nil {
		return err
	}
	if info["cluster_state"] != "ok" {
		return fmt.Errorf("cluster_state on %s is %q", n, info["cluster_state"])
	}
	return nil
}

// info parses an answer of lines "name:value".
func (n *Node) info(ctx context.Context, args ...any) (map[string]string, error) {
	text, err := n.text(ctx, args...)
	if err != nil {
		return nil, err
	}
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info, nil
}
