package redistest

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Failover makes a replica take over from its live master (CLUSTER FAILOVER), and
// returns when every running node sees it as the master. It loses no acknowledged
// write.
func (c *Cluster) Failover(replica *Node) {
	ctx, cancel := context.WithTimeout(context.Background(), faultLimit)
	defer cancel()
	err := await(ctx, func(ctx context.Context) error {
		info, err := replica.info(ctx, "INFO", "replication")
		if err == nil && info["master_link_status"] != "up" {
			err = fmt.Errorf("its link to its master is %q", info["master_link_status"])
		}
		return err
	})
	if err == nil {
		err = c.failover(ctx, replica)
	}
	c.must(fmt.Sprintf("fail over to %s", replica), err)
}

func (c *Cluster) failover(ctx context.Context, replica *Node) error {
	id, err := replica.identity(ctx)
	if err != nil {
		return err
	}
	var asked time.Time
	return await(ctx, func(ctx context.Context) error {
		self, err := replica.members(ctx)
		if err != nil {
			return err
		}
		// A master stops waiting for its replica after 5 s.
		if !self[0].is("master") && time.Since(asked) > 6*time.Second {
			asked = time.Now()
			if err := replica.tell(ctx, "CLUSTER", "FAILOVER"); err != nil {
				return err
			}
		}
		for _, n := range c.running() {
			all, err := n.members(ctx)
			if err != nil {
				return err
			}
			for _, m := range all {
				if m.id == id && !m.is("master") {
					return fmt.Errorf("%s sees it as %v", n, m.flags)
				}
			}
			if err := n.notOK(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

// MigrateSlot moves the key's slot with all its keys from its master to another one,
// while clients continue, and returns when every running master knows. It does
// nothing if the slot is already there.
func (c *Cluster) MigrateSlot(key string, to *Node) {
	ctx, cancel := context.WithTimeout(context.Background(), faultLimit)
	defer cancel()
	err := c.migrate(ctx, Slot(key), to)
	c.must(fmt.Sprintf("migrate slot %d to %s", Slot(key), to), err)
}

func (c *Cluster) migrate(ctx context.Context, slot int, to *Node) error {
	from, err := c.owner(ctx, slot)
	if err != nil || from == to {
		return err
	}
	fromID, err := from.identity(ctx)
	if err != nil {
		return err
	}
	toID, err := to.identity(ctx)
	if err != nil {
		return err
	}
	// The target must accept the slot before the source redirects clients to it.
	if err := to.tell(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromID); err != nil {
		return err
	}
	if err := from.tell(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", toID); err != nil {
		return err
	}
	for {
		moved, err := from.moveKeys(ctx, slot, to)
		if err != nil {
			return err
		}
		if moved == 0 {
			break
		}
	}
	// The target first: with the source first, the slot would have no owner if the
	// source died in between.
	told := []*Node{to, from}
	for _, n := range c.running() {
		if n != to && n != from {
			told = append(told, n)
		}
	}
	for _, n := range told {
		all, err := n.members(ctx)
		if err != nil {
			return err
		}
		if !all[0].is("master") {
			continue // a replica learns of it by gossip
		}
		if err := n.tell(ctx, "CLUSTER", "SETSLOT", slot, "NODE", toID); err != nil {
			return err
		}
	}
	return nil
}

// moveKeys moves up to 100 keys of a slot and returns their number.
func (n *Node) moveKeys(ctx context.Context, slot int, to *Node) (int, error) {
	answer, err := n.ask(ctx, "CLUSTER", "GETKEYSINSLOT", slot, 100)
	if err != nil {
		return 0, err
	}
	keys, _ := answer.([]any)
	if len(keys) == 0 {
		return 0, nil
	}
	// REPLACE: after a lost answer, the target already has a copy of keys that the
	// source still serves.
	args := []any{"MIGRATE", host, strconv.Itoa(to.port), "", 0, 5000, "REPLACE", "KEYS"}
	return len(keys), n.tell(ctx, append(args, keys...)...)
}
