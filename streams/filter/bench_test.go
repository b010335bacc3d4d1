package filter

import (
	"strings"
	"testing"
)

// payload is what a service sends of a payment.
const payload = `{"amount":12000,"currency":"EUR","customer":{"country":"NL","vip":true},"method":"ideal","reason":"insufficient_funds","order":"9","attempt":2}`

func BenchmarkMatch(b *testing.B) {
	tests := []struct {
		name   string
		clause Clause
		want   bool
	}{
		{"everything", Clause{}, true},
		{"type/one", Clause{Types: []string{"payment.failed"}}, true},
		{"type/prefix", Clause{Types: []string{"payment.*"}}, true},
		{"type/none of 32", Clause{Types: numbered("seat.status", MaxTypes)}, false},
		{"subject/literal", Clause{Subjects: []string{"event/42/type/7"}}, true},
		{"subject/tail", Clause{Subjects: []string{"event/42/**"}}, true},
		{"subject/segments", Clause{Subjects: []string{"event/*/type/*"}}, true},
		{"subject/across", Clause{Subjects: []string{"**/type/*"}}, true},
		{"subject/none of 32", Clause{Subjects: numbered("event/7/*/", MaxSubjects)}, false},
		{"expr/envelope", Clause{Filter: `type == "payment.failed" && subject.startsWith("event/")`}, true},
		{"expr/data", Clause{Filter: `data.amount >= 10000`}, true},
		{"expr/data, three terms", Clause{Filter: `data.amount >= 10000 && data.currency == "EUR" && has(data.customer.country)`}, true},
		{"expr/missing field", Clause{Filter: `data.total >= 10000`}, false},
		{"expr/in", Clause{Filter: `data.customer.country in ["BE", "DE", "NL"]`}, true},
		{"expr/matches", Clause{Filter: `subject.matches("^event/4[0-9]/type/[0-9]+$")`}, true},
		{"all three", Clause{Types: []string{"payment.*"}, Subjects: []string{"event/42/**"}, Filter: `data.amount >= 10000`}, true},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			f := mustCompile(b, tt.clause)
			e := newEvent(payload)
			e.Subject = "event/42/type/7"
			b.ReportAllocs()
			for b.Loop() {
				if f.Match(e) != tt.want {
					b.Fatalf("Match = %v, want %v", !tt.want, tt.want)
				}
			}
		})
	}
}

// BenchmarkFirstMatch includes what is done once for each event.
func BenchmarkFirstMatch(b *testing.B) {
	f := mustCompile(b, Clause{Filter: `data.amount >= 10000`})
	for _, tt := range []struct{ name, data string }{
		{"200 bytes", payload},
		{"64 KiB of text", `{"amount":12000,"x":"` + strings.Repeat("a", 64<<10) + `"}`},
		{"256 KiB of numbers", `{"amount":12000,"x":[` + strings.Repeat("1,", 128<<10-20) + `1]}`},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !f.Match(newEvent(tt.data)) {
					b.Fatal("no match")
				}
			}
		})
	}
}

// BenchmarkWorst measures expressions that are as costly as they may be, over
// events made for them. The budget is 20 µs.
func BenchmarkWorst(b *testing.B) {
	repeat := func(term, operator string, n int) string {
		return strings.Repeat(term+operator, n-1) + term
	}
	a := func(n int) string { return strings.Repeat("a", n) }
	tests := []struct {
		name, expr, data string
	}{
		{"comparisons", repeat(`data.a == 1`, " && ", MaxTerms), `{"a":1}`},
		{"paths", repeat(`data.a.b.c.d.e.f.g == 1`, " || ", MaxTerms), `{"a":{"b":{"c":{"d":{"e":{"f":{"g":2}}}}}}}`},
		{"missing", repeat(`data.a == 1`, " || ", MaxTerms), `{}`},
		{"sums", repeat(`data.a`, " + ", 30) + ` == 1`, `{"a":1.5}`},
		{"contains", repeat(`data.a.contains("aaaab")`, " || ", MaxTerms), `{"a":"` + a(MaxText) + `"}`},
		{"contains long", repeat(`data.a.contains(data.b)`, " || ", 3), `{"a":"` + a(MaxText) + `","b":"` + a(200) + `b"}`},
		{"size", repeat(`size(data.a) == 1`, " || ", 4), `{"a":"` + strings.Repeat("é", MaxText/2) + `"}`},
		{"in data", repeat(`"b" in data.a`, " || ", 7), `{"a":[` + repeat(`"a"`, ",", MaxItems) + `]}`},
		{"in literal", repeat(`data.a in [1, 2, 3]`, " || ", MaxTerms), `{"a":4}`},
		{"conversions", repeat(`timestamp(data.a) < time`, " && ", MaxTerms/2), `{"a":"2020-01-01T00:00:00.123456Z"}`},
		{"numerals", repeat(`string(double(data.a)) == ""`, " || ", MaxTerms/3), `{"a":"1.7976931348623157e+308"}`},
		{"pattern, plain", `data.a.matches("^a[a-z]*-[0-9]+-x+$")`, `{"a":"` + a(MaxMatchText) + `"}`},
		{"pattern, ambiguous", `data.a.matches("(a|aa|aaa|a.a|.a|a.|.aa|..a|aaaa|..)+$")`, `{"a":"` + a(MaxMatchText-1) + `!"}`},
		{"pattern, runs", `data.a.matches("a+a+a+a+a+a+a+a+a+a+b")`, `{"a":"` + a(MaxMatchText) + `"}`},
		{"pattern, classes", `data.a.matches("[ab]*[ac]*[ad]*[ae]*[af]*[ag]*[ah]*[ai]*$")`, `{"a":"` + a(MaxMatchText-1) + `!"}`},
		{"pattern, options", `data.a.matches("a?a?a?a?a?a?a?a?a?a?a?a?a?a?aab")`, `{"a":"` + a(MaxMatchText) + `"}`},
		{"pattern, folded", `data.a.matches("(?i)(ab|ac|ad|aa|ba|bb|aab|aac)[^x]b")`, `{"a":"` + a(MaxMatchText) + `"}`},
		{"equal text of 120 KiB", repeat(`data.a == data.b`, " && ", 7), `{"a":"` + a(120<<10) + `","b":"` + a(120<<10) + `"}`},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			f := mustCompile(b, Clause{Filter: tt.expr})
			e := newEvent(tt.data)
			f.Match(e)
			s := f.exprs[0]
			for b.Loop() {
				s.holds(e)
			}
			b.ReportMetric(float64(s.cost), "units")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(s.cost), "ns/unit")
		})
	}
	b.Run("subjects", func(b *testing.B) {
		var globs []string
		for i := range MaxAllWildcards / MaxWildcards {
			globs = append(globs, "**"+strings.Repeat("a*", MaxWildcards-2)+strings.Repeat("b", i+1)+"*")
		}
		f := mustCompile(b, Clause{Subjects: globs})
		e := newEvent(`{}`)
		e.Subject = strings.Repeat("a", 200) + "/" + strings.Repeat("a", 55)
		for b.Loop() {
			f.Match(e)
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	for _, tt := range []struct {
		name   string
		clause Clause
	}{
		{"types", Clause{Types: []string{"payment.*", "ticket.availability"}}},
		{"types and subjects", Clause{Types: []string{"payment.*", "ticket.availability"}, Subjects: []string{"event/42/*", "event/43/**"}}},
		{"expression", Clause{Filter: `data.amount >= 10000`}},
		{"expression of 32 terms", Clause{Filter: strings.Repeat(`data.amount == 1 || `, MaxTerms-1) + `data.amount == 2`}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Compile(tt.clause); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func numbered(prefix string, n int) []string {
	var all []string
	for i := range n {
		all = append(all, prefix+string(rune('A'+i)))
	}
	return all
}
