package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// MaxItems bounds the items of a list of data that the operator in looks through.
const MaxItems = 256

var (
	errData    = errors.New("filter: the event's data is not a JSON value")
	errCompare = errors.New("filter: two lists or two objects of data do not compare")
)

func decodeData(data []byte) ref.Val {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // a double would round large integers
	var v any
	if err := d.Decode(&v); err != nil {
		return types.WrapErr(errData)
	}
	if _, err := d.Token(); err != io.EOF {
		return types.WrapErr(errData)
	}
	return newValue(v)
}

// newValue turns what encoding/json decoded into values of expressions. It works in
// place: each filter looks members up, but they are decoded once.
func newValue(v any) ref.Val {
	switch v := v.(type) {
	case bool:
		return types.Bool(v)
	case string:
		return types.String(v)
	case json.Number:
		return newNumber(string(v))
	case []any:
		for i := range v {
			v[i] = newValue(v[i])
		}
		return &list{types.NewDynamicList(types.DefaultTypeAdapter, v), v}
	case map[string]any:
		for name, member := range v {
			v[name] = newValue(member)
		}
		return &object{types.NewStringInterfaceMap(types.DefaultTypeAdapter, v)}
	default:
		return types.NullValue
	}
}

// newNumber keeps integers of 64 bits exact. Any other number becomes the nearest
// double, or an infinite one.
func newNumber(s string) ref.Val {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return types.Int(i)
	}
	if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return types.Uint(u)
	}
	f, _ := strconv.ParseFloat(s, 64) // the syntax was checked; out of range is infinite
	return types.Double(f)
}

// A list is a list of data. Unlike the evaluator's own, no operation takes longer
// for a longer list.
type list struct {
	traits.Lister
	items []any // each a ref.Val
}

// Contains implements [traits.Container].
func (l *list) Contains(v ref.Val) ref.Val {
	if len(l.items) > MaxItems {
		return types.WrapErr(ErrTooLong)
	}
	for _, item := range l.items {
		switch eq := types.Equal(v, item.(ref.Val)); {
		case eq == types.True:
			return types.True
		case types.IsError(eq):
			return eq
		}
	}
	return types.False
}

// Equal implements [ref.Val].
func (l *list) Equal(other ref.Val) ref.Val {
	if _, ok := other.(*list); ok {
		return types.WrapErr(errCompare)
	}
	return l.Lister.Equal(other) // a list in an expression is short
}

// An object is an object of data. Like a [list], its operations take constant time.
type object struct {
	traits.Mapper
}

// Equal implements [ref.Val].
func (o *object) Equal(other ref.Val) ref.Val {
	if _, ok := other.(traits.Mapper); ok {
		return types.WrapErr(errCompare)
	}
	return types.False
}
