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
	// LeaseLife is how long a lease lasts without a renewal.
	LeaseLife = 30 * time.Second

	// freshLife is how long after its last renewal a lease is sure to be in use:
	// longer than gateways take to renew it.
	freshLife = RenewEvery + RenewEvery/2
	// endedLife is how long the limiter remembers that a lease was ended. Its
	// gateway renews much sooner.
	endedLife = 2 * LeaseLife
	// releasedLife is the same for a lease that its own gateway gave back: longer
	// than a renewal takes that is under way.
	releasedLife = 10 * time.Second
	// mostInTheWay is how many leases a refusal names.
	mostInTheWay = 10
)

var (
	// ErrNoLease means that there is no such lease, or no more.
	ErrNoLease = errors.New("ratelimit: no such lease")

	// ErrUnavailable means that Redis did not answer.
	ErrUnavailable = errors.New("ratelimit: the leases are out of reach")
)

// A Lease is a place among those of a key, such as an open stream's.
type Lease struct {
	Key     string    // that it counts against; Take sets it to the ask's
	ID      string    // unique for ever, such as the connection's
	Gateway string    // that holds it; the limiter sets it
	Since   time.Time // to the ms
	Filter  string    // identifies its filter; empty: counts as none
	Info    []byte    // anything, for readers of a list; a renewal may change it
	Limit   int       // how many leases the key may have, for Renew; 0: any number
}

// A Renewal lists the leases that did not continue. Their connections are for the
// caller to end.
type Renewal struct {
	Ended   []Lease // by [Leases.End] or a takeover
	Surplus []Lease // beyond the limit of their key, newest first for each key
}

// Leases are kept by the limiter that granted them: [MemoryLimiter] and
// [RedisLimiter] implement it.
type Leases interface {
	// Renew keeps leases for another [LeaseLife], or begins to. A gateway calls it
	// every [RenewEvery] with all that it holds, even if that is none, because its
	// share of the limits depends on how many gateways call it. Every lease needs
	// its Key.
	//
	// A lease that the limiter does not know begins if there is room: Redis lost
	// it, or was away when the gateway granted it. If a key then has more leases
	// than its Limit, the newest on all gateways end, each when its own gateway
	// renews: two renewals of all gateways leave exactly the limit. Leases that
	// were renewed in time stay, even if the limit has been lowered.
	Renew(ctx context.Context, held []Lease) (Renewal, error)

	// Release gives leases back. If that fails now, a later renewal does it, or
	// they expire within [LeaseLife].
	Release(ctx context.Context, held ...Lease)

	// List returns the leases of a key on all gateways, oldest first.
	List(ctx context.Context, key string) ([]Lease, error)

	// End takes a lease away from its gateway and returns it, or [ErrNoLease]. Its
	// place is free at once; the gateway learns of it when it renews.
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
