package ratelimit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	// RenewEvery is how often a gateway renews its leases.
	RenewEvery = 10 * time.Second
	// LeaseLife is how long a lease lasts that nobody renews.
	LeaseLife = 30 * time.Second

	// endedLife is how long it is remembered that a lease was ended: well over
	// the time that its gateway may take to renew it.
	endedLife = 2 * LeaseLife
	// releasedLife is the same for a lease that its own gateway has given back: over
	// the time that a renewal which is under way may take.
	releasedLife = 10 * time.Second
	// mostInTheWay is how many leases a refusal names.
	mostInTheWay = 10
)

var (
	// ErrNoLease means that there is no such lease, or no more.
	ErrNoLease = errors.New("ratelimit: no such lease")

	// ErrUnavailable means that Redis could not be asked.
	ErrUnavailable = errors.New("ratelimit: the leases are out of reach")
)

// A Lease is a place among those of a key, such as an open stream's.
type Lease struct {
	Key     string    // whose it is; Take sets it to the ask's
	ID      string    // unique for ever, such as the connection's
	Gateway string    // where it is held; the limiter sets it
	Since   time.Time // to the ms
	Filter  string    // what tells its filter from others; empty: counts as none
	Info    []byte    // anything, for those who list leases; a renewal may change it
}

// Leases are kept by the limiter that gave them: [MemoryLimiter] and
// [RedisLimiter] implement it.
type Leases interface {
	// Renew keeps leases for another [LeaseLife], or begins to. A gateway calls it every
	// [RenewEvery] with all it holds, also when that is none, for its share of
	// the limits depends on how many gateways do. Every lease needs its Key.
	//
	// What a gateway holds is the truth: a lease that Redis lost is there again
	// afterwards, whatever the limits say, unless it is to be confirmed. Only
	// those returned are over, for somebody ended them or took them over: their
	// connections are the caller's to end.
	Renew(ctx context.Context, held []Lease) (ended []Lease, err error)

	// Confirm asks Redis for the leases that [Limiter.Take] gave without it, and
	// returns those for which there is no place: they are over, and their
	// connections the caller's to end. Those that it cannot ask for yet stay as they
	// are. A gateway calls it a second after a verdict that says Local, and each
	// second until there is no error.
	Confirm(ctx context.Context) (refused []Lease, err error)

	// Release gives leases back. What cannot be given back now comes back by
	// itself within [LeaseLife].
	Release(ctx context.Context, held ...Lease)

	// List returns the leases of a key on all gateways, oldest first.
	List(ctx context.Context, key string) ([]Lease, error)

	// End takes a lease away from whoever holds it and returns it, or
	// [ErrNoLease]. Its place is free at once; its gateway learns of it when it
	// renews, unless it is told before.
	End(ctx context.Context, key, id string) (Lease, error)
}

// sign returns the ask with its lease's key and gateway set.
func (a Ask) sign(gateway string) Ask {
	if a.Lease != nil {
		lease := *a.Lease
		lease.Key, lease.Gateway = a.Key, gateway
		lease.Since = lease.Since.Truncate(time.Millisecond)
		a.Lease = &lease
	}
	return a
}

// compareLeases orders leases by age, and those of one moment by id.
func compareLeases(a, b Lease) int {
	return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
}

// A leaseRecord is a lease at rest. Members that a reader does not know are
// skipped.
type leaseRecord struct {
	ID      string `json:"id"`
	Gateway string `json:"gateway"`
	Since   int64  `json:"since"` // ms
	Filter  string `json:"filter,omitempty"`
	Info    []byte `json:"info,omitempty"`
}

func encodeLease(l Lease) []byte {
	text, err := json.Marshal(leaseRecord{l.ID, l.Gateway, l.Since.UnixMilli(), l.Filter, l.Info})
	if err != nil {
		panic(err) // strings, a number and bytes can be written
	}
	return text
}

func decodeLease(key, text string) (Lease, error) {
	var r leaseRecord
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return Lease{}, fmt.Errorf("ratelimit: decode a lease of %s: %w", key, err)
	}
	return Lease{
		Key: key, ID: r.ID, Gateway: r.Gateway, Since: time.UnixMilli(r.Since), Filter: r.Filter, Info: r.Info,
	}, nil
}
