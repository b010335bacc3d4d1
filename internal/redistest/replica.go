package redistest

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// AddReplica starts another node as a replica of a master, and returns it when the
// cluster is healthy, in the sense of [Cluster.AwaitHealthy].
func (c *Cluster) AddReplica(of *Node) *Node {
	ctx, cancel := context.WithTimeout(context.Background(), faultLimit)
	defer cancel()
	n, err := c.addReplica(ctx, of)
	c.must(fmt.Sprintf("add a replica of %s", of), err)
	return n
}

func (c *Cluster) addReplica(ctx context.Context, of *Node) (*Node, error) {
	master, err := of.identity(ctx)
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	others := c.Nodes()
	n := c.newNode(ports[0], ports[1])
	if err := n.create(c.dir, c.options); err != nil {
		return nil, err
	}
	if err := n.awaitAnswer(ctx); err != nil {
		return nil, err
	}
	for _, other := range others {
		if err := other.tell(ctx, "CLUSTER", "MEET", host, n.port, n.busPort); err != nil {
			return nil, err
		}
	}
	if err := await(ctx, func(ctx context.Context) error {
		return n.tell(ctx, "CLUSTER", "REPLICATE", master)
	}); err != nil {
		return nil, err
	}
	return n, await(ctx, c.unhealthy)
}

// Remove kills a replica and removes it from the cluster.
func (c *Cluster) Remove(replica *Node) {
	ctx, cancel := context.WithTimeout(context.Background(), faultLimit)
	defer cancel()
	c.must(fmt.Sprintf("remove %s", replica), c.remove(ctx, replica))
}

func (c *Cluster) remove(ctx context.Context, replica *Node) error {
	all, err := replica.members(ctx)
	if err != nil {
		return err
	}
	if all[0].is("master") {
		return errors.New("it is a master")
	}
	replica.Kill()
	c.mu.Lock()
	c.nodes = slices.DeleteFunc(c.nodes, func(n *Node) bool { return n == replica })
	c.mu.Unlock()
	for _, n := range c.running() {
		if err := n.tell(ctx, "CLUSTER", "FORGET", all[0].id); err != nil {
			return err
		}
	}
	return await(ctx, c.unhealthy)
}
