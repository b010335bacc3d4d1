package api

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"testing"
	"time"
)

func TestQuietStreamOverHTTP2OutlivesTheTimeOfAWrite(t *testing.T) {
	defer func(limit time.Duration) { writeTimeout = limit }(writeTimeout)
	writeTimeout = 200 * time.Millisecond
	r := startRig(t, eventlog.MemoryOptions{}, true)
	v := r.watch(t, r.a, "")
	if v.res.ProtoMajor != 2 {
		t.Fatalf("the stream speaks %s", v.res.Proto)
	}
	v.until(t, "stream.open")
	time.Sleep(3 * writeTimeout)
	r.publish(t, "a", "order.completed", `{}`)
	if e := v.next(t); e.Type != "order.completed" {
		t.Errorf("the next event is %+v", e)
	}
}
