package eventlog

import (
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/internal/redistest"
)

// The Redis users in the guide have the rights that they need, and services
// have no more.
func TestAttack96UsersOfTheGuide(t *testing.T) {
	node := redistest.StartStandalone(t)
	text, err := os.ReadFile("../../api/web/samples/services.acl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line) // "user", name, rules
		args := []any{"ACL", "SETUSER"}
		for _, word := range words[1:] {
			args = append(args, word)
		}
		node.Do(args...)
	}
	ctx := t.Context()
	service := redis.NewClient(&redis.Options{Addr: node.Addr(), Username: "service", Password: "CHANGE-ME"})
	defer service.Close()
	if err := service.XAdd(ctx, &redis.XAddArgs{Stream: InboxKey, Values: []any{"merchant", "acme", "type", "a.b", "data", "1"}}).Err(); err != nil {
		t.Errorf("a service cannot write to the inbox: %v", err)
	}
	if err := service.Publish(ctx, "mychannel", `["a", 1]`).Err(); err != nil {
		t.Errorf("a service cannot publish to a channel: %v", err)
	}
	for name, err := range map[string]error{
		"write to a log":     service.XAdd(ctx, &redis.XAddArgs{Stream: "ps:{00}:acme:log", ID: "18446744073709551615-1", Values: []any{"a", 1}}).Err(),
		"read the inbox":     service.XRange(ctx, InboxKey, "-", "+").Err(),
		"delete the inbox":   service.Del(ctx, InboxKey).Err(),
		"read keys":          service.Keys(ctx, "*").Err(),
		"flush":              service.FlushAll(ctx).Err(),
		"run a script":       service.Eval(ctx, "return 1", nil).Err(),
		"change the server":  service.ConfigSet(ctx, "maxmemory", "1").Err(),
		"trim the inbox":     service.XTrimMaxLen(ctx, InboxKey, 0).Err(),
		"listen to channels": service.Do(ctx, "SUBSCRIBE", "mychannel").Err(),
	} {
		if err == nil || !strings.Contains(err.Error(), "NOPERM") {
			t.Errorf("a service may %s: %v", name, err)
		}
	}

	gateway := redis.NewClient(&redis.Options{Addr: node.Addr(), Username: "gateway", Password: "CHANGE-ME-TOO"})
	defer gateway.Close()
	for name, err := range map[string]error{
		"change the server":     gateway.ConfigSet(ctx, "maxmemory", "1").Err(),
		"list all keys":         gateway.Keys(ctx, "*").Err(),
		"flush":                 gateway.FlushAll(ctx).Err(),
		"debug":                 gateway.Do(ctx, "DEBUG", "SLEEP", "0").Err(),
		"end the server":        gateway.Do(ctx, "SHUTDOWN").Err(),
		"make users":            gateway.Do(ctx, "ACL", "SETUSER", "other", "on").Err(),
		"change who replicates": gateway.Do(ctx, "REPLICAOF", "NO", "ONE").Err(),
		"write another's keys":  gateway.Set(ctx, "shop:cart", "1", 0).Err(),
		"read another's keys":   gateway.Get(ctx, "shop:cart").Err(),
		"reach them by script":  gateway.Eval(ctx, "return redis.call('GET', 'shop:cart')", nil).Err(),
	} {
		if err == nil || !strings.Contains(err.Error(), "NOPERM") && !strings.Contains(err.Error(), "not allowed") &&
			!strings.Contains(err.Error(), "can't access at least one of the keys") {
			t.Errorf("a gateway may %s: %v", name, err)
		}
	}

	l := openRedis(t, RedisOptions{Addrs: []string{node.Addr()}, Username: "gateway", Password: "CHANGE-ME-TOO", Durability: BestEffort})
	if err := l.Check(ctx); err != nil && strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("a gateway cannot look at Redis: %v", err)
	}
	ids := mustAppend(t, l, "acme", newEvents(3)...)
	if got := mustRead(t, l, "acme", ids[0], 10); len(got) != 2 {
		t.Errorf("a gateway reads %d entries, want 2", len(got))
	}
	if err := l.sweepOnce(ctx); err != nil {
		t.Errorf("a gateway cannot sweep: %v", err)
	}
	held := newLease(l.client, intakeLease)
	if !held.renew(ctx) {
		t.Error("a gateway cannot hold the lease")
	}
	if _, err := l.inbox(ctx, true); err != nil {
		t.Errorf("a gateway cannot read the inbox: %v", err)
	}
	entries, err := l.inbox(ctx, false)
	if err != nil || len(entries) != 1 {
		t.Errorf("the inbox has %d entries for a gateway (%v), want 1", len(entries), err)
	}
}
