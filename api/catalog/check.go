package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Check returns nil if data is one JSON value that fits the schema, and [Violations]
// otherwise.
//
// It checks only the last of two members with the same name, and replaces text that
// is not UTF-8. Reject both before, as package strictjson does.
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

// check may replace the numbers in value.
func (t *Type) check(value any) Violations {
	err := t.compiled.Validate(boundNumbers(value))
	if err == nil {
		return nil
	}
	return violationsOf(err)
}
