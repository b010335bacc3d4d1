package rediscluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// A reply is an error that Redis answers with.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

func TestTransientErrors(t *testing.T) {
	for _, test := range []struct {
		err              error
		reply, transient bool
	}{
		{io.EOF, false, true},
		{context.DeadlineExceeded, false, true},
		{redis.ErrClosed, false, false},
		{reply("MOVED 1 10.0.0.1:6379"), true, true},
		{reply("ASK 1 10.0.0.1:6379"), true, true},
		{reply("TRYAGAIN the slot moves"), true, true},
		{reply("CLUSTERDOWN the cluster is down"), true, true},
		{reply("LOADING the dataset"), true, true},
		{reply("MASTERDOWN the link"), true, true},
		{reply("READONLY a replica"), true, true},
		{reply("UNBLOCKED by a failover"), true, true},
		{fmt.Errorf("read: %w", reply("READONLY a replica")), true, true},
		{reply("WRONGTYPE of a key"), true, false},
		{reply("WRONGPASS invalid"), true, false},
		{reply("OOM no memory"), true, false},
	} {
		if got := IsReply(test.err); got != test.reply {
			t.Errorf("IsReply(%v) is %t", test.err, got)
		}
		if got := IsTransient(test.err); got != test.transient {
			t.Errorf("IsTransient(%v) is %t", test.err, got)
		}
	}
}

func TestRetryEndsWithTheFirstAnswerThatIsNotTransient(t *testing.T) {
	c := &Client{}
	for _, last := range []error{nil, redis.Nil, reply("WRONGTYPE of a key"), redis.ErrClosed} {
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			err := c.Retry(t.Context(), func(context.Context) error {
				if tries++; tries < 5 {
					return io.EOF
				}
				return last
			})
			if err != last || tries != 5 {
				t.Errorf("got %v after %d tries, want %v after 5", err, tries, last)
			}
		})
	}
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		tries := 0
		err := (&Client{}).Retry(ctx, func(context.Context) error { tries++; return reply("CLUSTERDOWN now") })
		if err != reply("CLUSTERDOWN now") || tries < 10 || tries > 60 {
			t.Errorf("got %v after %d tries, want the last error after 10 to 60", err, tries)
		}
	})
}

func TestErrorsAreShownWithoutAddresses(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 6379}, Err: io.EOF}
	for _, err := range []error{
		dial, fmt.Errorf("get a connection: %w", dial), reply("MOVED 1 10.0.0.1:6379"), reply("ASK 1 10.0.0.1:6379"),
	} {
		if got := WithoutAddress(err).Error(); got == "" || strings.Contains(got, "10.0.0.1") {
			t.Errorf("%v is shown as %q", err, got)
		}
	}
	if !errors.Is(WithoutAddress(dial), io.EOF) {
		t.Error("the cause of a network error is gone")
	}
	if err := reply("OOM no memory"); WithoutAddress(err) != err {
		t.Error("an error without an address was changed")
	}
}
