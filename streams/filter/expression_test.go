package filter

import (
	"errors"
	"strings"
	"testing"
)

// newEvent returns an event with data; each test changes what it is about.
func newEvent(data string) *Event {
	return &Event{
		ID: "pay-77", Source: "payments", Type: "payment.failed", Subject: "order/9", Merchant: "acme",
		Time: "2025-11-23T01:30:00.5+02:00", Data: []byte(data),
	}
}

func mustCompile(t testing.TB, clauses ...Clause) *Filter {
	t.Helper()
	f, err := Compile(clauses...)
	if err != nil {
		t.Fatalf("Compile(%+v): %v", clauses, err)
	}
	return f
}

func TestExpressionDecidesOverTheEvent(t *testing.T) {
	const data = `{"amount": 12000, "limit": 12000.0, "price": 10.5, "currency": "EUR", "ok": true, "none": null,
		"big": 9007199254740993, "huge": 18446744073709551615, "vast": 1e400, "low": -1e400, "long": 123456789012345678901234567890,
		"text": "12.50", "when": "2025-01-02T03:04:05Z", "tags": ["vip", "early", 7], "seats": [{"row": "B"}, {"row": "C"}],
		"customer": {"country": "NL"}, "a-b": 1, "note": "café", "empty": ""}`
	tests := []struct {
		expr string
		want bool
	}{
		// the envelope
		{`id == "pay-77" && source == "payments" && merchant == 'acme'`, true},
		{`type == "payment.failed"`, true},
		{`type in ["payment.failed", "payment.succeeded"]`, true},
		{`type.startsWith("payment.") && subject.endsWith("/9")`, true},
		{`subject.contains("rder")`, true},
		{`subject.matches("^order/[0-9]+$")`, true},
		{`subject.matches("^order/[a-z]+$")`, false},
		{`size(subject) == 7 && subject.size() == 7`, true},
		{`time == timestamp("2025-11-22T23:30:00.5Z")`, true},
		{`time.getHours() == 23 && time.getDate() == 22 && time.getFullYear() == 2025`, true}, // UTC, whatever the offset
		{`string(time) == "2025-11-22T23:30:00.5Z"`, true},
		{`time - timestamp("2025-11-22T23:00:00Z") > duration("29m")`, true},
		{`time + duration("24h") < timestamp("2025-11-23T00:00:00Z")`, false},

		// numbers
		{`data.amount >= 10000`, true},
		{`data.amount >= 10000.5`, true},
		{`data.amount == data.limit`, true},
		{`data.price < 11`, true},
		{`data.price in [10, 10.5]`, true},
		{`data.amount in [12000.0]`, true},
		{`data.amount * 1.21 > 14519.9`, true}, // an integer and a double
		{`data.amount + data.price == 12010.5`, true},
		{`data.amount % 5000 == 2000`, true},
		{`-data.amount < -data.price`, true},
		{`data.big == 9007199254740993`, true},
		{`data.big == 9007199254740992`, false}, // equal as doubles
		{`data.big > 9007199254740992`, true},
		{`data.huge == 18446744073709551615u`, true},
		{`data.huge == 18446744073709551614u`, false},
		{`data.huge > 0 && data.huge > 9223372036854775807`, true},
		{`data.vast > 1e308 && data.low < -1e308`, true}, // infinite
		{`data.long > 1e29 && data.long < 2e29`, true},
		{`double(data.text) == 12.5`, true},
		{`int("42") == 42 && string(data.amount) == "12000"`, true},
		{`timestamp(data.when) < time`, true},

		// the shape of data
		{`data.customer.country == "NL"`, true},
		{`data["a-b"] == 1`, true},
		{`data.seats[1].row == "C"`, true},
		{`"vip" in data.tags && 7 in data.tags && 7.0 in data.tags && !("late" in data.tags)`, true},
		{`"customer" in data`, true},
		{`size(data.tags) == 3 && size(data.customer) == 1 && size(data.note) == 4`, true},
		{`data.tags == ["vip", "early", 7] && ["vip", "early", 7] == data.tags`, true},
		{`data.none == null && data.ok`, true},
		{`has(data.customer.country) && !has(data.customer.city)`, true},
		{`data.ok ? data.amount > 1 : data.missing`, true},
		{`data.note == "caf\u00e9" && data.note == """café""" && data.note.startsWith('caf')`, true},
		{`data.note != "\"é'" && data.note != r"\" && data.note != R'''\n"@#''' // @#$ "`, true},
		{`data.empty == ""`, true},

		// what fails is no match, whichever way it is asked
		{`data.missing == 1`, false},
		{`data.missing != 1`, false},
		{`!(data.missing == 1)`, false},
		{`data.customer.city.name == "x"`, false},
		{`data.none.x == 1`, false},
		{`data.seats[2].row == "D"`, false},
		{`data.amount > "1"`, false},
		{`data.currency > 1`, false},
		{`data.amount / 0 == 1`, false},
		{`data.amount % 0 == 1`, false},
		{`data.big * data.big > 0`, false}, // overflows
		{`timestamp("9999-12-31T23:59:59Z") + duration("1000000h") > time`, false},
		{`time - duration(data.text) < time`, false},
		{`data.currency + data.currency == "EUREUR"`, false},
		{`data.tags + data.tags == []`, false},
		{`data.currency * 2 == 1`, false},
		{`data.seats == data.seats`, false},
		{`data.customer == data.customer`, false},
		{`data.amount`, false}, // neither true nor false
		{`data.currency`, false},
		{`int(data.currency) == 1`, false},
		{`double(data.tags) == 1.0`, false},
		{`timestamp(data.currency) < time`, false},
		{`size(data.amount) == 1`, false},
		{`data.amount.startsWith("1")`, false},
		{`data.ok && data.missing`, false},
		{`data.ok || data.missing`, true}, // one side decides alone
		{`data.missing || data.ok`, true},
	}
	for _, tt := range tests {
		f, err := Compile(Clause{Filter: tt.expr})
		if err != nil {
			t.Errorf("Compile(%s): %v", tt.expr, err)
			continue
		}
		e := newEvent(data)
		for range 2 { // the second time with values that are there already
			if got := f.Match(e); got != tt.want {
				t.Errorf("Match(%s) = %v, want %v", tt.expr, got, tt.want)
			}
		}
	}
}

func TestDataThatIsNoObjectIsUsable(t *testing.T) {
	tests := []struct {
		expr, data string
		want       bool
	}{
		{`data == 5`, `5`, true},
		{`data > 5`, `5`, false},
		{`data == "x"`, ` "x" `, true},
		{`data == null`, `null`, true},
		{`data`, `true`, true},
		{`data[0] == 1`, `[1]`, true},
		{`data.x == 1`, `[1]`, false},
		{`data.x == 1`, `null`, false},
		{`data == 1`, ``, false},
		{`data == 1`, `1 2`, false},
		{`data == 1`, `{`, false},
		{`data.x != 1`, `{"x":`, false},
		{`id == "pay-77" || data.x == 1`, `{`, true},
		{`id == "pay-77" && !(data.x == 1)`, `{`, false},
	}
	for _, tt := range tests {
		if got := mustCompile(t, Clause{Filter: tt.expr}).Match(newEvent(tt.data)); got != tt.want {
			t.Errorf("Match(%s) over %s = %v, want %v", tt.expr, tt.data, got, tt.want)
		}
	}
}

func TestEventWithoutTimeMatchesNothingAboutTime(t *testing.T) {
	for _, text := range []string{"", "yesterday", "2025-13-01T00:00:00Z"} {
		e := newEvent(`{}`)
		e.Time = text
		for _, expr := range []string{`time > timestamp("2000-01-01T00:00:00Z")`, `!(time > timestamp("2000-01-01T00:00:00Z"))`} {
			if mustCompile(t, Clause{Filter: expr}).Match(e) {
				t.Errorf("Match(%s) with time %q = true, want false", expr, text)
			}
		}
	}
}

func TestLongTextAndListsAreNotLookedThrough(t *testing.T) {
	text := func(n int) string { return `{"x":"` + strings.Repeat("a", n) + `","y":["b"]}` }
	items := func(n int) string { return `{"x":[` + strings.Repeat(`"a",`, n-1) + `"b"]}` }
	tests := []struct {
		expr, data string
		want       bool
		err        error
	}{
		{`data.x.contains("a")`, text(MaxText), true, nil},
		{`data.x.contains("a")`, text(MaxText + 1), false, ErrTooLong},
		{`!data.x.contains("a")`, text(MaxText + 1), false, ErrTooLong},
		{`size(data.x) > 1`, text(MaxText), true, nil},
		{`size(data.x) > 1`, text(MaxText + 1), false, ErrTooLong},
		{`data.x.matches("a")`, text(MaxMatchText), true, nil},
		{`data.x.matches("a")`, text(MaxMatchText + 1), false, ErrTooLong},
		{`double(data.x) > 1.0`, text(maxNumeral + 1), false, ErrTooLong},
		{`"b" in data.x`, items(MaxItems), true, nil},
		{`"b" in data.x`, items(MaxItems + 1), false, ErrTooLong},
		{`"b" in data.y || "b" in data.x`, text(5), true, nil},
		// these take no longer the longer it is
		{`data.x != "b" && data.x > "A" && data.x.startsWith("aa") && data.x.endsWith("aa")`, text(200_000), true, nil},
		{`size(data.x) == 100000 && data.x[99999] == "b"`, items(100_000), true, nil},
	}
	for _, tt := range tests {
		f := mustCompile(t, Clause{Filter: tt.expr})
		got, err := f.Evaluate(newEvent(tt.data))
		if got != tt.want || !errors.Is(err, tt.err) || err != nil && tt.err == nil {
			t.Errorf("Evaluate(%s) over %d bytes = %v, %v; want %v, %v", tt.expr, len(tt.data), got, err, tt.want, tt.err)
		}
		if got := f.Match(newEvent(tt.data)); got != tt.want {
			t.Errorf("Match(%s) over %d bytes = %v, want %v", tt.expr, len(tt.data), got, tt.want)
		}
	}
}

func TestDataIsDecodedOnlyForWhoReadsIt(t *testing.T) {
	tests := []struct {
		expr string
		want bool
	}{
		{``, false},
		{`type == "data"`, false},
		{`type == "x" || has(data.x)`, true},
		{`size(data) > 1`, true},
	}
	for _, tt := range tests {
		f := mustCompile(t, Clause{Types: []string{"*"}, Filter: tt.expr}, Clause{Subjects: []string{"**"}})
		e := newEvent(`{"x":1}`)
		f.Match(e)
		if got := e.values[varData] != nil; got != tt.want {
			t.Errorf("data decoded for %q = %v, want %v", tt.expr, got, tt.want)
		}
	}
}

func TestDataIsDecodedOnce(t *testing.T) {
	e := newEvent(`{"x":1}`)
	one, two := mustCompile(t, Clause{Filter: `data.x == 1`}), mustCompile(t, Clause{Filter: `has(data.x)`})
	if !one.Match(e) {
		t.Fatal("the first filter does not match")
	}
	e.Data = []byte(`{}`) // were it decoded again, the second would not match
	if !two.Match(e) {
		t.Error("the second filter decoded the data again")
	}
}

func TestRefusedExpressionSaysWhereAndWhatToDo(t *testing.T) {
	tests := []struct {
		expr         string
		line, column int
		reason       string // a part of it
	}{
		{`amount > 5`, 1, 1, `"amount" is not a variable`},
		{`data.x > 5 &&` + "\n" + `  foo.bar == 1`, 2, 3, `"foo" is not a variable`},
		{`data.amount >= `, 1, 16, `ends where a value`},
		{`data.x = 5`, 1, 8, `unexpected character`},
		{`data.x == "y`, 1, 11, `quote is not closed`},
		{`id == "é" && id == 'x` + "\n'", 1, 20, `quote is not closed`},
		{`id == """x" && ""`, 1, 7, `quote is not closed`},
		{`id == "\"`, 1, 7, `quote is not closed`},
		{"id == 'a' &&\n ümlaut == 1", 2, 2, `unexpected character`},
		{"data.`a` == 1", 1, 6, `unexpected character`},
		{`((((((((((((((((((((((((((((((((((id))))))))))))))))))))))))))))))))) == "x"`, 0, 0, `nested too deeply`},
		{` `, 1, 2, `ends where a value`},
		{`data.x == 1 and type == "a"`, 1, 13, `operator is missing`},
		{`data.x ==== 1`, 1, 10, `value is missing`},
		{`(data.x == 1]`, 1, 13, `nothing is open`},
		{`(data.x == 1`, 1, 13, `within a parenthesis`},
		{`size(1 + )`, 1, 10, `value is missing`},
		{`1 ? 2 == 2`, 1, 11, `does not parse`},
		{`data.1 == 2`, 1, 5, `does not parse`},
		{`id == 5`, 1, 4, `does not accept operands of these types`},
		{`time > "2025-01-01"`, 1, 6, `does not accept`},
		{`type.x == 1`, 1, 5, `does not accept`},
		{`type`, 0, 0, `must result in true or false`},
		{`1 + 1`, 0, 0, `must result in true or false`},
		{`timestamp("soon") < time`, 0, 0, `does not convert`},
		{`string(id, id) == ""`, 1, 7, `does not accept`},
		{`{"a": 1}.a == 1`, 1, 1, `only lists`},
		{`google.protobuf.Struct{} == data`, 1, 23, `only lists`},
		{`b"x" == data.x`, 1, 1, `bytes`},
		{`data.seats.exists(s, s.free)`, 1, 18, `no function iterates over a list`},
		{`time.getHours("Europe/Amsterdam") > 1`, 1, 14, `does not accept`},
		{`dyn(1) == 1`, 1, 4, `is not a function here`},
		{`id.matches("(")`, 1, 12, `not a valid regular expression`},
		{`id.matches(type)`, 1, 12, `must be a quoted text`},
		{`matches(id, "x")`, 1, 8, `does not accept`},
		{`id + type == "x"`, 1, 4, `does not accept`},
		{`[1] + [2] == data`, 1, 5, `does not accept`},
	}
	for _, tt := range tests {
		_, err := Compile(Clause{Filter: tt.expr})
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("Compile(%s) = %v, want an *Error", tt.expr, err)
			continue
		}
		if e.Part != PartFilter || !strings.Contains(e.Reason, tt.reason) || e.Line != tt.line || e.Column != tt.column {
			t.Errorf("Compile(%s) = %v; want line %d, column %d, %q", tt.expr, e, tt.line, tt.column, tt.reason)
		}
	}
}
