package filter

import (
	"strings"
	"unicode/utf8"
)

// scan rejects malformed text cheaply. The parser recovers from every mistake and
// goes on to the end, which takes up to 25 ms for [MaxExpr]. Text that scan accepts
// has values and operators in turn and brackets in pairs, and parses fast. So scan
// does not know the grammar, only the mistakes that can be repeated.
func scan(text string) *Error {
	s := scanner{text: text, wantValue: true}
	for tokens := 0; s.skipSpace(); {
		if text[s.at] != '.' { // a path counts once per name
			tokens++
		}
		if tokens > maxTokens {
			return refuse(PartFilter, "the expression has too many words and signs; at most %d are allowed", maxTokens)
		}
		if err := s.token(); err != nil {
			return err
		}
	}
	switch {
	case s.wantValue:
		return s.refuse("the expression ends where a value is expected")
	case len(s.open) > 0:
		return s.refuse("the expression ends within a parenthesis or bracket")
	}
	return nil
}

// A scanner is a place in an expression.
type scanner struct {
	text string
	at   int

	wantValue bool   // a value comes next, not an operator
	mayClose  bool   // a bracket may close although a value may come: it is empty, or ends with a comma
	open      []byte // the brackets that are open

	terms int // the comparisons and sums among what MaxTerms counts
	joins int // signs and operators that join them
}

// skipSpace moves to the next token, and reports whether there is one.
func (s *scanner) skipSpace() bool {
	for s.at < len(s.text) {
		rest := s.text[s.at:]
		switch {
		case strings.IndexByte(" \t\r\n\f", rest[0]) >= 0:
			s.at++
		case strings.HasPrefix(rest, "//"):
			comment, _, _ := strings.Cut(rest, "\n")
			s.at += len(comment)
		default:
			return true
		}
	}
	return false
}

// token moves past the next token, or says why it is not allowed here.
func (s *scanner) token() *Error {
	rest := s.text[s.at:]
	switch c := rest[0]; {
	case isWord(c) || isQuote(c):
		n := wordOrText(rest)
		if n == 0 {
			return s.refuse("this quote is not closed")
		}
		return s.word(rest[:n])
	case strings.IndexByte("([{", c) >= 0:
		return s.opening(c)
	case strings.IndexByte(")]}", c) >= 0:
		return s.closing(c)
	}
	operator := operatorOf(rest)
	if operator == "" {
		return s.refuse("unexpected character; put text in quotes; operators are && || ! == != < <= > >= in + - * / %%")
	}
	unary := s.wantValue
	switch {
	case unary && operator != "-" && operator != "!":
		return s.refuse("a value is missing before this")
	case !unary && operator == "!":
		return s.refuse("an operator is missing before this")
	}
	s.wantValue, s.mayClose = true, operator == ","
	s.at += len(operator)
	return s.count(operator, unary)
}

func (s *scanner) count(operator string, unary bool) *Error {
	switch {
	case unary, operator == "&&", operator == "||", operator == "?":
		s.joins++
	case operator != "." && operator != "," && operator != ":":
		s.terms++
	}
	if s.terms > MaxTerms || s.joins > 2*MaxTerms {
		return tooMany()
	}
	return nil
}

func (s *scanner) word(word string) *Error {
	if isOperator := word == "in"; isOperator == s.wantValue {
		if isOperator {
			return s.refuse("a value is missing before this")
		}
		return s.refuse("an operator is missing before this")
	}
	s.wantValue, s.mayClose = !s.wantValue, false
	s.at += len(word)
	if s.wantValue {
		return s.count(word, false)
	}
	return nil
}

func (s *scanner) opening(bracket byte) *Error {
	if len(s.open) == MaxDepth {
		return tooDeep()
	}
	s.open = append(s.open, bracket)
	s.wantValue, s.mayClose = true, true
	s.at++
	return nil
}

func (s *scanner) closing(bracket byte) *Error {
	last := len(s.open) - 1
	switch {
	case last < 0 || pairs[s.open[last]] != bracket:
		return s.refuse("nothing is open that this could close")
	case s.wantValue && !s.mayClose:
		return s.refuse("a value is missing before this")
	}
	s.open = s.open[:last]
	s.wantValue, s.mayClose = false, false
	s.at++
	return nil
}

// pairs are the brackets with those that close them.
var pairs = map[byte]byte{'(': ')', '[': ']', '{': '}'}

// operatorOf returns the operator that s begins with, if there is one.
func operatorOf(s string) string {
	if len(s) > 1 {
		switch s[:2] {
		case "&&", "||", "==", "!=", "<=", ">=":
			return s[:2]
		}
	}
	if strings.IndexByte(".,:?!-+*/%<>", s[0]) >= 0 {
		return s[:1]
	}
	return ""
}

// wordOrText returns the length of the name, number or quoted text that s begins
// with, or 0 if the text has no end.
func wordOrText(s string) int {
	n := 0
	for n < len(s) && isWord(s[n]) {
		n++
	}
	if n == len(s) || !isQuote(s[n]) {
		return n
	}
	raw := false
	switch strings.ToLower(s[:n]) {
	case "", "b":
	case "r", "br":
		raw = true
	default:
		return n // the quote begins something of its own
	}
	quoted := textLength(s[n:], raw)
	if quoted == 0 {
		return 0
	}
	return n + quoted
}

// textLength returns the length of the quoted text that s begins with, or 0 if it
// has no end.
func textLength(s string, raw bool) int {
	quote := s[:1]
	if strings.HasPrefix(s, strings.Repeat(quote, 3)) {
		quote = s[:3]
	}
	for i := len(quote); i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], quote):
			return i + len(quote)
		case s[i] == '\\' && !raw:
			i++
		case len(quote) == 1 && (s[i] == '\n' || s[i] == '\r'):
			return 0
		}
	}
	return 0
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isQuote(c byte) bool {
	return c == '"' || c == '\''
}

// tooDeep is for brackets, and for operators nested without brackets.
func tooDeep() *Error {
	return refuse(PartFilter, "the expression is nested too deeply; at most %d levels are allowed", MaxDepth)
}

func tooMany() *Error {
	return refuse(PartFilter, "an expression may have at most %d comparisons, sums and calls; this one has more", MaxTerms)
}

// refuse returns an error at the scanner's place.
func (s *scanner) refuse(format string, args ...any) *Error {
	err := refuse(PartFilter, format, args...)
	before := s.text[:s.at]
	err.Line = strings.Count(before, "\n") + 1
	err.Column = utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return err
}
