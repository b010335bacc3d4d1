// Package demo is the small ticket shop behind the demo pages. It publishes what
// happens in it as events of the merchant [Merchant].
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/paylogic/pushserver/auth"
	"github.com/paylogic/pushserver/ratelimit/policy"
	"github.com/paylogic/pushserver/streams"
	"github.com/paylogic/pushserver/streams/eventlog"
	"github.com/paylogic/pushserver/streams/filter"
)

// Merchant owns the events of the shop.
const Merchant = "demo"

// Stock is how many tickets one restock adds.
const Stock = 20

const (
	ticketType    = "ticket.availability"
	ticketSubject = "event/42/type/7"
	mostTickets   = 200

	seatType    = "seat.status"
	seatSubject = "event/42/seat/" // and the seat
	seatRows    = "ABCDEF"
	seatColumns = 10
)

// Errors of a [Shop].
var (
	ErrStock  = errors.New("demo: no ticket is left, or the stock is full")
	ErrTaken  = errors.New("demo: another buyer has the seat")
	ErrNoSeat = errors.New("demo: no such seat")
)

// Key returns the key that the demo pages read with. It creates the key if the
// store has none that is usable.
func Key(ctx context.Context, store auth.Store) (*auth.Key, error) {
	for key, err := range auth.AllKeys(ctx, store) {
		if err != nil {
			return nil, err
		}
		if key.Kind == auth.Live && key.Merchant == Merchant && key.Usable(time.Now()) == nil {
			return key, nil
		}
	}
	_, key, err := auth.Issue(ctx, store, auth.Key{
		Kind: auth.Live, Merchant: Merchant, Name: "demo pages", Clause: filter.Clause{Types: []string{ticketType, seatType}}, Limits: policy.Largest(),
	})
	return key, err
}

// A Shop sells tickets and seats. Its state is the newest event of each subject.
type Shop struct {
	hub     *streams.Hub
	publish func(ctx context.Context, log string, e eventlog.Event) (eventlog.Receipt, error)
	all     *filter.Filter

	mu  sync.Mutex // guards own; held during a sale, including its I/O: sales are serial
	own map[string]eventlog.Entry
}

// New returns a shop that reads its state from hub and appends its events with
// publish.
func New(hub *streams.Hub, publish func(ctx context.Context, log string, e eventlog.Event) (eventlog.Receipt, error)) *Shop {
	all, err := filter.Compile()
	if err != nil {
		panic("demo: a filter without clauses does not compile: " + err.Error())
	}
	return &Shop{hub: hub, publish: publish, all: all, own: make(map[string]eventlog.Entry)}
}

// Tickets is the number of tickets left, as of a position in the shop's log.
type Tickets struct {
	Position  eventlog.ID `json:"position"`
	Available int         `json:"available"`
}

// Sell adds change, which may be negative, to the tickets. It fails with ErrStock
// if the result would be less than 0 or more than 200.
func (s *Shop) Sell(ctx context.Context, change int) (Tickets, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := struct {
		Available int `json:"available"`
	}{Stock}
	if err := s.current(ctx, ticketType, ticketSubject, &now); err != nil {
		return Tickets{}, err
	}
	if now.Available += change; now.Available < 0 || now.Available > mostTickets {
		return Tickets{}, ErrStock
	}
	position, err := s.append(ctx, ticketType, ticketSubject, now)
	return Tickets{position, now.Available}, err
}

// Seat is the status of a seat, "held" or "available", as of a position.
type Seat struct {
	Position eventlog.ID `json:"position"`
	Status   string      `json:"status"`
}

// HasSeat reports whether the shop has a seat of that name: A1 to F10.
func HasSeat(name string) bool {
	row, number := "", 0
	_, err := fmt.Sscanf(name, "%1s%d", &row, &number)
	return err == nil && strings.Contains(seatRows, row) && number >= 1 && number <= seatColumns &&
		name == fmt.Sprintf("%s%d", row, number)
}

// Click takes a seat for a buyer, or gives it back. It fails with ErrNoSeat, or with
// ErrTaken if another buyer has the seat.
func (s *Shop) Click(ctx context.Context, seat, buyer string) (Seat, error) {
	if !HasSeat(seat) {
		return Seat{}, ErrNoSeat
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var now struct {
		Status string `json:"status"`
		By     string `json:"by,omitempty"`
	}
	if err := s.current(ctx, seatType, seatSubject+seat, &now); err != nil {
		return Seat{}, err
	}
	switch {
	case now.Status != "held":
		now.Status, now.By = "held", buyer
	case now.By == buyer:
		now.Status, now.By = "available", ""
	default:
		return Seat{}, ErrTaken
	}
	position, err := s.append(ctx, seatType, seatSubject+seat, now)
	return Seat{position, now.Status}, err
}

// current decodes the data of the newest event of a subject. The hub may not have
// the shop's own last event yet.
func (s *Shop) current(ctx context.Context, typ, subject string, into any) error {
	state, err := s.hub.State(ctx, Merchant, s.all)
	if err != nil {
		return err
	}
	newest := s.own[subject]
	for _, e := range state.Entries {
		if e.Event.Type == typ && e.Event.Subject == subject && e.ID.Compare(newest.ID) >= 0 {
			newest = e
		}
	}
	if newest.Event.Data == nil {
		return nil
	}
	return json.Unmarshal(newest.Event.Data, into)
}

func (s *Shop) append(ctx context.Context, typ, subject string, data any) (eventlog.ID, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return eventlog.ID{}, err
	}
	event := eventlog.Event{
		ID: uuid.Must(uuid.NewV7()).String(), Source: "/demo", Type: typ, Subject: subject,
		Time: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), Merchant: Merchant, Data: text, State: true,
	}
	receipt, err := s.publish(ctx, Merchant, event)
	if err != nil {
		return eventlog.ID{}, err
	}
	s.own[subject] = eventlog.Entry{ID: receipt.ID, Event: event}
	return receipt.ID, nil
}
