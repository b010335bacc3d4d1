package ratelimit

import (
	"context"
	"errors"
	"math"

	"github.com/redis/go-redis/v9"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

// A call is one call of a script.
type call struct {
	script *redis.Script
	keys   []string
	args   []any
	owner  string // the key whose leases they are
	node   string // who is asked
	cmd    *redis.Cmd
}

// run makes calls in one round trip, and in another those whose script a node
// did not know. Each call's command has its own error.
func (r *RedisLimiter) run(ctx context.Context, calls []*call) {
	if len(calls) == 1 {
		c := calls[0]
		c.cmd = c.script.Run(ctx, r.client, c.keys, c.args...)
		return
	}
	_, _ = r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, c := range calls {
			c.cmd = c.script.EvalSha(ctx, p, c.keys, c.args...)
		}
		return nil
	})
	_, _ = r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, c := range calls {
			if redis.HasErrorPrefix(c.cmd.Err(), "NOSCRIPT") {
				c.cmd = c.script.Eval(ctx, p, c.keys, c.args...)
			}
		}
		return nil
	})
}

// ratesKey is the one that tells where the keys of a key are.
func ratesKey(key string) string { return redisPrefix + key + "}:rates" }

// leaseKeys are in the order in which the scripts expect them.
func leaseKeys(key string) []string {
	tag := redisPrefix + key + "}:"
	return []string{tag + "leases", tag + "order", tag + "held", tag + "ended"}
}

// takeCall returns the call that decides an ask.
func takeCall(ask Ask) *call {
	c := &call{script: takeRatesScript, keys: []string{ratesKey(ask.Key)}}
	touchesLeases := ask.Lease != nil
	for _, charge := range ask.Charges {
		touchesLeases = touchesLeases || charge.Policy.Concurrent()
	}
	if touchesLeases {
		c.script = takeScript
		c.keys = append(c.keys, leaseKeys(ask.Key)...)
	}
	c.args = append(make([]any, 0, 7+5*len(ask.Charges)),
		mostInTheWay, ask.TakeOver, min(ask.most(1), math.MaxInt32))
	c.args = append(c.args, leaseArgs(ask.Lease)...)
	c.args = append(c.args, chargeArgs(ask.Charges)...)
	return c
}

// leaseArgs are a lease's id, since, filter and record.
func leaseArgs(l *Lease) []any {
	if l == nil {
		return []any{"", 0, "", ""}
	}
	return []any{l.ID, l.Since.UnixMilli(), l.Filter, encodeLease(*l)}
}

func chargeArgs(charges []Charge) []any {
	args := make([]any, 0, 5*len(charges))
	for _, c := range charges {
		args = append(args, kindOf(c.Policy), c.Policy.Name, c.Policy.Quota, c.Policy.Window.Microseconds(), max(0, c.N))
	}
	return args
}

// kindOf returns how the scripts count a policy.
func kindOf(p policy.Policy) string {
	switch {
	case !p.Concurrent():
		return "rate"
	case p.Name == policy.Filters:
		return "filters"
	}
	return "leases"
}

var errShape = errors.New("ratelimit: an answer of another shape")

// readVerdict reads what the take script answers.
func readVerdict(ask Ask, cmd *redis.Cmd) (v Verdict, err error) {
	reply, err := cmd.Slice()
	if err != nil {
		return Verdict{}, err
	}
	const each = 5
	records := 1 + each*len(ask.Charges)
	if len(reply) < records {
		return Verdict{}, errShape
	}
	v.Allowed = reply[0] == int64(1)
	v.Decisions = make([]Decision, len(ask.Charges))
	for i, c := range ask.Charges {
		var n [each]int64
		for k := range n {
			n[k], _ = reply[1+each*i+k].(int64)
		}
		v.Decisions[i] = decide(c.Policy, passage{ok: n[0] == 1, left: n[1], more: n[2], future: n[3], never: n[4] == 1})
		if n[0] == 0 && c.Policy.Concurrent() {
			v.Decisions[i].Retry = busyRetry
		}
	}
	leases, err := readLeases(ask.Key, reply[records:])
	if v.Allowed {
		v.Ended = leases
	} else {
		v.InTheWay = leases
	}
	return v, err
}

func readLeases(key string, records []any) (leases []Lease, err error) {
	for _, r := range records {
		text, _ := r.(string)
		l, err := decodeLease(key, text)
		if err != nil {
			return nil, err
		}
		leases = append(leases, l)
	}
	return leases, nil
}
