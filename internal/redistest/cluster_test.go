package redistest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/paylogic/pushserver/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// One cluster serves all of these, in this order; each leaves it healthy.
func TestCluster(t *testing.T) {
	began := time.Now()
	c := redistest.Start(t)
	t.Logf("ready after %v", time.Since(began).Round(time.Millisecond))

	t.Run("is healthy on every node when Start returns", func(t *testing.T) {
		if got := len(c.Addrs()); got != 6 {
			t.Fatalf("%d addresses, want 6", got)
		}
		for _, key := range []string{"a", "b", "c", "{07}:log"} {
			want := int64(redistest.Slot(key))
			if got := c.Do(c.Nodes()[0], "CLUSTER", "KEYSLOT", key); got != want {
				t.Errorf("Redis has %q in slot %v, Slot says %d", key, got, want)
			}
			master := c.Master(key)
			c.Do(master, "SET", key, "1")
			if got := c.Do(master, "WAIT", 1, 1000); got != int64(1) {
				t.Errorf("%v replicas confirmed a write to %s, want 1", got, master)
			}
		}
	})

	t.Run("serves a client that knows only the addresses", func(t *testing.T) {
		client := clusterClient(t, c)
		for i := range 100 {
			key := fmt.Sprintf("key-%d", i)
			if err := client.Set(t.Context(), key, i, 0).Err(); err != nil {
				t.Fatalf("set %s: %v", key, err)
			}
		}
		if got := c.Do(c.Master("key-7"), "GET", "key-7"); got != "7" {
			t.Errorf("key-7 is %v on its master, want 7", got)
		}
	})

	t.Run("moves a slot with its keys, and back", func(t *testing.T) {
		const count = 250 // more than one round of moveKeys
		from, to := c.Master("{moved}"), c.Master("elsewhere")
		if from == to {
			t.Fatal("the test needs keys on two masters")
		}
		for i := range count {
			c.Do(from, "SET", fmt.Sprintf("{moved}%d", i), i)
		}
		for _, to := range []*redistest.Node{to, from} {
			c.MigrateSlot("{moved}", to)
			if got := c.Master("{moved}"); got != to {
				t.Fatalf("%s serves the slot, want %s", got, to)
			}
			slot := redistest.Slot("{moved}")
			if got := c.Do(to, "CLUSTER", "COUNTKEYSINSLOT", slot); got != int64(count) {
				t.Errorf("%v keys in the slot after its move, want %d", got, count)
			}
			c.AwaitHealthy()
		}
	})

	t.Run("hands a master's slots to its replica as planned", func(t *testing.T) {
		old := c.Master("planned")
		replica := c.Replica(old)
		c.Do(old, "SET", "planned", "kept")
		c.Failover(replica)
		if got := c.Master("planned"); got != replica {
			t.Fatalf("%s serves the key, want %s", got, replica)
		}
		if got := c.Do(replica, "GET", "planned"); got != "kept" {
			t.Errorf("the key is %v after the failover, want kept", got)
		}
		c.AwaitHealthy()
		if got := c.Replica(replica); got != old {
			t.Errorf("%s replicates the new master, want the old one, %s", got, old)
		}
	})

	t.Run("promotes a replica when a master is killed, and takes the old master back", func(t *testing.T) {
		old := c.Master("killed")
		replica, pid := c.Replica(old), old.PID()
		c.Do(old, "SET", "killed", "kept")
		c.Do(old, "WAIT", 1, 1000)
		old.Kill()
		if got := c.AwaitMaster("killed", old); got != replica {
			t.Fatalf("%s was promoted, want %s", got, replica)
		}
		if got := c.Do(replica, "GET", "killed"); got != "kept" {
			t.Errorf("the key is %v after the failover, want kept", got)
		}
		old.Restart()
		if old.PID() == pid {
			t.Errorf("the process id is %d before and after a restart", pid)
		}
		c.AwaitHealthy()
		if got := c.Replica(replica); got != old {
			t.Errorf("%s replicates the new master, want the old one, %s", got, old)
		}
	})

	t.Run("takes one more replica, and goes on without it", func(t *testing.T) {
		master := c.Master("added")
		added := c.AddReplica(master)
		c.Do(master, "SET", "added", "kept")
		if got := c.Do(master, "WAIT", 2, 1000); got != int64(2) {
			t.Errorf("%v replicas confirmed a write, want 2", got)
		}
		c.Failover(added)
		if got := c.Do(c.Master("added"), "GET", "added"); got != "kept" || c.Master("added") != added {
			t.Errorf("the key is %v at %s, want it kept at %s", got, c.Master("added"), added)
		}
		c.Failover(master)
		c.AwaitHealthy()
		c.Remove(added)
		if got := len(c.Addrs()); got != 6 {
			t.Errorf("%d addresses, want 6", got)
		}
		c.AwaitHealthy()
	})

	t.Run("promotes a replica when a master is paused, and takes the old master back", func(t *testing.T) {
		old := c.Master("paused")
		replica := c.Replica(old)
		old.Pause()
		if got := c.AwaitMaster("paused", old); got != replica {
			t.Errorf("%s was promoted, want %s", got, replica)
		}
		old.Resume()
		c.AwaitHealthy()
		if got := c.Master("paused"); got != replica {
			t.Errorf("%s serves the key after the pause, want %s", got, replica)
		}
	})
}

func TestStandaloneKeepsItsDataOverARestart(t *testing.T) {
	n := redistest.StartStandalone(t, redistest.Config("appendfsync", "always"))
	if got := n.Do("CONFIG", "GET", "appendfsync"); !slices.Equal(got.([]any), []any{"appendfsync", "always"}) {
		t.Errorf("the setting of the test is %v on the server", got)
	}
	n.Do("SET", "a", "1")
	n.Kill()
	n.Restart()
	if got := n.Do("GET", "a"); got != "1" {
		t.Errorf("the key is %v after a restart, want 1", got)
	}
	if got := n.Do("GET", "missing"); got != nil {
		t.Errorf("a missing key is %v, want nil", got)
	}
}

func TestSlotHashesWhatRedisHashes(t *testing.T) {
	tests := []struct {
		key  string
		want int
	}{
		{"", 0},
		{"123456789", 12739}, // the check value in the cluster specification
		{"foo{}{bar}", 8363}, // an empty tag is no tag
		{"{user1000}.following", redistest.Slot("user1000")},
		{"foo{{bar}}zap", redistest.Slot("{bar")},
		{"foo{bar}{zap}", redistest.Slot("bar")},
	}
	for _, test := range tests {
		if got := redistest.Slot(test.key); got != test.want {
			t.Errorf("Slot(%q) = %d, want %d", test.key, got, test.want)
		}
	}
}

func clusterClient(t *testing.T, c *redistest.Cluster) *redis.ClusterClient {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), DisableIdentity: true})
	t.Cleanup(func() { client.Close() })
	return client
}
