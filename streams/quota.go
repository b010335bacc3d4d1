package streams

import "time"

// A quota is how many events a subscription may deliver within a second of the
// clock. The zero value has no limit. It is small, for there is one in every
// subscription, and costs nothing where there is no limit.
type quota struct {
	rate   uint32 // events; 0: no limit
	sent   uint32 // in that second
	second int64
}

// left returns how many of n events may go out now.
func (q *quota) left(n int) int {
	if q.rate == 0 {
		return n
	}
	if now := time.Now().Unix(); now != q.second {
		q.second, q.sent = now, 0
	}
	return min(n, int(q.rate-min(q.sent, q.rate)))
}
