package filter

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func drawClause() *rapid.Generator[Clause] {
	exprs := []string{
		"", `type == "a"`, `subject.startsWith("a")`, `!(type == "b")`, `data.n > 1`, `data.n != 1`,
		`data.n == 1 || subject == ""`, `has(data.n)`, `!has(data.n)`, `data.n`, `true`, `false`,
	}
	return rapid.Custom(func(t *rapid.T) Clause {
		return Clause{
			Types:    rapid.SliceOfN(drawTypePattern(), 0, 2).Draw(t, "types"),
			Subjects: rapid.SliceOfN(drawGlob(), 0, 2).Draw(t, "subjects"),
			Filter:   rapid.SampledFrom(exprs).Draw(t, "expr"),
		}
	})
}

func drawEvent() *rapid.Generator[Event] {
	return rapid.Custom(func(t *rapid.T) Event {
		return Event{
			Type:    drawType().Draw(t, "type"),
			Subject: drawSubject().Draw(t, "subject"),
			Data:    []byte(rapid.SampledFrom([]string{`{"n":1}`, `{"n":2.5}`, `{"n":true}`, `{}`, `[]`, ``}).Draw(t, "data")),
		}
	})
}

func TestFilterMatchesWhatEveryClauseMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clauses := rapid.SliceOfN(drawClause(), 0, 3).Draw(t, "clauses")
		e := drawEvent().Draw(t, "event")
		both, err := Compile(clauses...)
		if err != nil {
			t.Fatal(err)
		}
		want := true
		for _, c := range clauses {
			one, err := Compile(c)
			if err != nil {
				t.Fatal(err)
			}
			want = want && one.Match(&e)
		}
		if got := both.Match(&e); got != want {
			t.Fatalf("Match = %v, want %v: the clauses one by one", got, want)
		}
		reversed := make([]Clause, 0, 2*len(clauses)+1)
		for i := len(clauses) - 1; i >= 0; i-- {
			reversed = append(reversed, clauses[i], Clause{}, clauses[i])
		}
		again, err := Compile(reversed...)
		if err != nil {
			t.Fatal(err)
		}
		if both.Key() != again.Key() {
			t.Fatalf("key %q changes with order and repetition to %q", both.Key(), again.Key())
		}
	})
}

func TestFilterWithoutClausesMatchesEverything(t *testing.T) {
	for _, clauses := range [][]Clause{nil, {{}}, {{}, {}}, {{Types: []string{"*"}, Subjects: []string{"**"}}}} {
		f := mustCompile(t, clauses...)
		if !f.Match(&Event{}) || !f.Match(newEvent(`{`)) {
			t.Errorf("the filter of %+v leaves something out", clauses)
		}
		if want := mustCompile(t).Key(); f.Key() != want {
			t.Errorf("key of %+v = %q, want %q", clauses, f.Key(), want)
		}
	}
}

func TestContradictionMatchesNothing(t *testing.T) {
	want := mustCompile(t, Clause{Types: []string{"a"}}, Clause{Types: []string{"b"}}).Key()
	for _, clauses := range [][]Clause{
		{{Types: []string{"payment.*"}}, {Types: []string{"ticket.*", "seat.status"}}},
		{{Types: []string{"a"}}, {Types: []string{"b"}}, {Types: []string{"a"}}},
		{{Subjects: []string{"a/*"}}, {Subjects: []string{"b/1", "b/2"}}},
		{{Subjects: []string{"a"}}, {Subjects: []string{"b"}}, {Subjects: []string{"**"}}, {Filter: "true"}},
	} {
		f := mustCompile(t, clauses...)
		for _, e := range []Event{{}, {Type: "payment.failed"}, {Type: "a", Subject: "a"}, {Type: "b", Subject: "b/1"}} {
			if f.Match(&e) {
				t.Errorf("the filter of %+v matches %+v", clauses, e)
			}
		}
		if f.Key() != want {
			t.Errorf("key of %+v = %q, want %q", clauses, f.Key(), want)
		}
	}
}

func TestKeyIsTheSameForEverySpelling(t *testing.T) {
	for _, same := range [][][]Clause{
		{
			{{Types: []string{"payment.*", "seat.status"}}},
			{{Types: []string{"seat.status", "payment.*"}}},
			{{Types: []string{"payment.failed", "payment.*", "seat.status", "seat.status", "payment.card.*"}}},
			{{Types: []string{"*"}}, {Types: []string{"payment.*", "seat.status"}}},
			{{Types: []string{"payment.*", "seat.*"}}, {Types: []string{"payment.*", "seat.status"}}},
		},
		{
			{{Subjects: []string{"event/42/*"}}},
			{{Subjects: []string{"event/42/*", "event/42/7"}}},
			{{Subjects: []string{"event/42/*", "**"}}, {Subjects: []string{"event/42/*"}}},
			{{Subjects: []string{"event/**"}}, {Subjects: []string{"event/42/*"}}},
			{{Subjects: []string{"event/42/*", "order/1"}}, {Subjects: []string{"event/42/*", "order/2"}}, {}}, // no other order is in both
		},
		{{{Subjects: []string{"a**"}}}, {{Subjects: []string{"a***"}}}, {{Subjects: []string{"a****", "ab"}}}},
		{
			{{Filter: `data.amount >= 10000 && type == "a"`}},
			{{Filter: "data . amount>=10000\n\t&& type=='a' // comment"}},
			{{Filter: `((data.amount >= 0x2710) && (type == "\u0061"))`}, {Filter: ``}},
			{{Filter: `data.amount >= 10000 && type == "a"`}, {Filter: `data.amount >= 10000 && (type == r"a")`}},
		},
		{
			{{Filter: `data.a == 1`}, {Filter: `data.b == 2`}},
			{{Filter: `data.b == 2`}, {Filter: `data.a == 1`}, {Filter: `data.b==2`}},
		},
	} {
		want := mustCompile(t, same[0]...).Key()
		for _, clauses := range same[1:] {
			if got := mustCompile(t, clauses...).Key(); got != want {
				t.Errorf("key of %+v = %q, want %q", clauses, got, want)
			}
		}
	}
}

func TestKeysOfDifferentFiltersDiffer(t *testing.T) {
	seen := map[string]Clause{}
	for _, s := range []Clause{
		{}, {Types: []string{"a"}}, {Types: []string{"a*"}}, {Types: []string{"a", "b"}}, {Types: []string{"a,b"}}, {Types: []string{"a1:b"}},
		{Types: []string{"a", "bc"}}, {Types: []string{"ab", "c"}}, {Filter: `data in ["a", "bsc"]`}, {Filter: `data in ["asb", "c"]`},
		{Subjects: []string{"a"}}, {Subjects: []string{"a*"}}, {Subjects: []string{"a**"}}, {Subjects: []string{"a", "b"}},
		{Types: []string{"a"}, Subjects: []string{"b"}}, {Types: []string{"b"}, Subjects: []string{"a"}},
		{Filter: `true`}, {Filter: `"true" == type`}, {Filter: `data == 1`}, {Filter: `data == 1u`}, {Filter: `data == 1.0`}, {Filter: `data == "1"`},
		{Filter: `data == null`}, {Filter: `data == "null"`}, {Filter: `data == true`}, {Filter: `data == -1`}, {Filter: `data == -(1)`},
		{Filter: `data.a == 1`}, {Filter: `data["a"] == 1`}, {Filter: `has(data.a)`}, {Filter: `data.a`}, {Filter: `data.a.b`}, {Filter: `data["a.b"]`},
		{Filter: `data.a - data.b - data.c == 0`}, {Filter: `data.a - (data.b - data.c) == 0`},
		{Filter: `!data.a && data.b`}, {Filter: `!(data.a && data.b)`}, {Filter: `data.a || data.b && data.c`}, {Filter: `(data.a || data.b) && data.c`},
		{Filter: `data in ["a", "b"]`}, {Filter: `data in ["a1:sb"]`}, {Filter: `data in [["a"], "b"]`}, {Filter: `data in []`}, {Filter: `data in [[]]`},
		{Filter: `size(data) == 1`}, {Filter: `data.a ? data.b : data.c`}, {Filter: `data.a ? data.c : data.b`},
		{Filter: `type.matches("a")`}, {Filter: `type.contains("a")`}, {Filter: `type == subject`}, {Filter: `subject == type`},
	} {
		key := mustCompile(t, s).Key()
		if other, ok := seen[key]; ok {
			t.Errorf("%+v and %+v have one key, %q", s, other, key)
		}
		seen[key] = s
	}
}

func TestErrorOfAClauseNamesItsPart(t *testing.T) {
	for part, s := range map[string]Clause{
		PartTypes:   {Types: []string{"a*b"}, Subjects: []string{"a"}},
		PartSubject: {Subjects: []string{"\n"}},
		PartFilter:  {Filter: "nonsense("},
	} {
		_, err := Compile(Clause{Types: []string{"a"}}, s)
		if e, ok := err.(*Error); !ok || e.Part != part || !strings.HasPrefix(err.Error(), part+": ") {
			t.Errorf("Compile(%+v) = %v, want an *Error about %s", s, err, part)
		}
	}
}
