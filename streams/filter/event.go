package filter

import (
	"errors"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// An Event is an event as filters see it.
//
// Make one per event and pass it to all filters of a log: they share the decoded
// Data, which the first one that needs it decodes. An Event belongs to one
// goroutine, and its fields do not change once a filter has seen it.
type Event struct {
	ID, Source, Type, Subject, Merchant string

	Time string // RFC 3339; if empty, an expression that reads time is no match
	Data []byte // one JSON value; decoded only if an expression reads data

	values [variables]ref.Val // by variable, nil until an expression asks
}

// activation is an [Event] as the evaluator sees it: names with values.
type activation Event

// ResolveName implements [interpreter.Activation].
func (a *activation) ResolveName(name string) (any, bool) {
	v, ok := variableOf(name)
	if !ok {
		return nil, false
	}
	if a.values[v] == nil {
		a.values[v] = a.value(v)
	}
	return a.values[v], true
}

// Parent implements [interpreter.Activation].
func (a *activation) Parent() interpreter.Activation { return nil }

// value returns the value of a variable, or the reason why it has none.
func (a *activation) value(v variable) ref.Val {
	switch v {
	case varID:
		return types.String(a.ID)
	case varSource:
		return types.String(a.Source)
	case varType:
		return types.String(a.Type)
	case varSubject:
		return types.String(a.Subject)
	case varMerchant:
		return types.String(a.Merchant)
	case varTime:
		return parseTime(a.Time)
	default:
		return decodeData(a.Data)
	}
}

var errTime = errors.New("filter: the event's time is not an RFC 3339 timestamp")

func parseTime(s string) ref.Val {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return types.WrapErr(errTime)
	}
	return types.Timestamp{Time: t.UTC()}
}
