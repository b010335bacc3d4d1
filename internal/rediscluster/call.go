package rediscluster

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Call is one call of a script. It is sent with the script's hash, and again
// with the source if the node does not know the hash yet.
type Call struct {
	Script *redis.Script
	Keys   []string
	Args   []any
	Asking bool // send ASKING first: an ASK redirection named the node

	// Cmd has the answer, or the error of the call.
	Cmd *redis.Cmd
	// Confirmed says that at least one replica has the write. [Confirm] sets it.
	Confirmed bool
	// Err is the error of the call or of its confirmation; after a failed
	// confirmation the write may be lost. [Confirm] sets it.
	Err error
}

// Run makes calls in one round trip per node. Each call's Cmd has its own
// error.
func (c *Client) Run(ctx context.Context, calls ...*Call) {
	if len(calls) == 1 {
		call := calls[0]
		call.Cmd = call.Script.Run(ctx, c, call.Keys, call.Args...)
		return
	}
	for source := false; len(calls) > 0; source = true {
		pipe := c.Pipeline()
		queue(ctx, pipe, calls, source)
		_, _ = pipe.Exec(ctx)
		calls = unknown(calls, source)
	}
}

// Confirm makes calls on one node and waits until a replica has what they
// wrote, for at most wait. A zero wait asks no replica, and every call that
// succeeds counts as confirmed. more may add commands to the pipeline; it is
// called again if some calls need a second one.
//
// WAIT covers the earlier writes of its own connection alone, and answers at
// once on a connection that wrote nothing. So everything goes through one
// pipeline, and a call that may write nothing needs a write from more.
func Confirm(ctx context.Context, node *redis.Client, wait time.Duration, calls []*Call, more func(redis.Pipeliner)) {
	for source := false; len(calls) > 0; source = true {
		pipe := node.Pipeline()
		queue(ctx, pipe, calls, source)
		more(pipe)
		replicas := redis.NewIntCmd(ctx, "WAIT", 1, wait.Milliseconds())
		if wait > 0 {
			_ = pipe.Process(ctx, replicas)
		} else {
			replicas.SetVal(1)
		}
		_, _ = pipe.Exec(ctx)
		for _, call := range calls {
			call.Confirmed = replicas.Val() > 0
			if call.Err = call.Cmd.Err(); call.Err == nil {
				call.Err = replicas.Err()
			}
		}
		calls = unknown(calls, source)
	}
}

func queue(ctx context.Context, pipe redis.Pipeliner, calls []*Call, source bool) {
	for _, call := range calls {
		if call.Asking {
			pipe.Do(ctx, "ASKING") // for the next command only
		}
		send := call.Script.EvalSha
		if source {
			send = call.Script.Eval
		}
		call.Cmd = send(ctx, pipe, call.Keys, call.Args...)
	}
}

// unknown returns the calls to send again with their source.
func unknown(calls []*Call, sentSource bool) (again []*Call) {
	for _, call := range calls {
		if !sentSource && redis.HasErrorPrefix(call.Cmd.Err(), "NOSCRIPT ") {
			again = append(again, call)
		}
	}
	return again
}
