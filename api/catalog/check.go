package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Check returns nil if data, which is one JSON value, fits the schema, else
// [Violations].
//
// Of members that stand twice in an object it looks at the last, and it mends
// text that is not UTF-8: whoever takes data from strangers refuses both before.
func (t *Type) Check(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var value any
	err := dec.Decode(&value)
	if err == nil {
		_, err = dec.Token()
	}
	if !errors.Is(err, io.EOF) || len(bytes.TrimSpace(data)) == 0 {
		return Violations{{Detail: "must be one JSON value"}}
	}
	if violations := t.check(value); len(violations) > 0 {
		return violations
	}
	return nil
}

// check looks at a decoded value, whose numbers it may replace.
func (t *Type) check(value any) Violations {
	err := t.compiled.Validate(settle(value))
	if err == nil {
		return nil
	}
	return violationsOf(err)
}
