package api

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A scanner reads a document, from its beginning to its end.
type scanner struct {
	raw   []byte
	at    int
	depth int
	most  int // depth
	doc   document

	batch func(*document, error) // takes the elements of a batch; nil: it is none
	taken int                    // of them
	inner *scanner               // reads each of them, in the room of the one before
}

func (s *scanner) document() (*document, error) {
	if bytes.HasPrefix(s.raw, []byte("\xef\xbb\xbf")) {
		return nil, problem("malformed-json", "Send the body without a byte order mark.")
	}
	s.space()
	if s.at == len(s.raw) {
		return nil, problem("malformed-json", "Send a JSON value. The body is empty.")
	}
	if err := s.top(); err != nil {
		return nil, err
	}
	if s.space(); s.at < len(s.raw) {
		return nil, s.malformed("the body must end after one value")
	}
	return &s.doc, nil
}

// top reads the value that the document is.
func (s *scanner) top() error {
	start := s.at
	if err := s.value(); err != nil {
		return err
	}
	s.doc.raw = s.raw[start:s.at:s.at]
	s.doc.kind = s.doc.raw[0]
	if c := s.doc.kind; c == '-' || '0' <= c && c <= '9' {
		s.doc.kind = '0'
	}
	return nil
}

func (s *scanner) malformed(what string) error {
	return problem("malformed-json", fmt.Sprintf("Fix the JSON: %s, at byte %d.", what, s.at))
}

func (s *scanner) space() {
	for s.at < len(s.raw) {
		switch s.raw[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end: a NUL is nowhere right.
func (s *scanner) peek() byte {
	if s.at < len(s.raw) {
		return s.raw[s.at]
	}
	return 0
}

// take goes past c if it comes next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

func (s *scanner) value() error {
	switch c := s.peek(); {
	case c == '{':
		return s.nested(s.object)
	case c == '[':
		return s.nested(s.array)
	case c == '"':
		return s.string()
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	}
	return s.malformed("expected a value")
}

func (s *scanner) nested(read func() error) error {
	if s.depth == s.most {
		return problem("too-deep", fmt.Sprintf("Nest at most %d arrays and objects in data.", maxDepth))
	}
	s.depth++
	s.at++
	s.space()
	err := read()
	s.depth--
	return err
}

func (s *scanner) object() error {
	if s.take('}') {
		return nil
	}
	names := make(map[string]struct{})
	if s.depth == 1 && s.doc.members == nil {
		s.doc.members = make([]member, 0, usualMembers)
	}
	for {
		start := s.at
		if s.peek() != '"' {
			return s.malformed("expected a member's name")
		}
		if err := s.string(); err != nil {
			return err
		}
		name, _ := text(s.raw[start:s.at])
		if _, twice := names[name]; twice {
			return problem("duplicate-member", fmt.Sprintf("Write the member %s only once. The second one ends at byte %d.", quote(name), s.at))
		}
		names[name] = struct{}{}
		s.space()
		if !s.take(':') {
			return s.malformed("expected a colon")
		}
		s.space()
		start = s.at
		if err := s.value(); err != nil {
			return err
		}
		if s.depth == 1 {
			s.doc.members = append(s.doc.members, member{name, s.raw[start:s.at:s.at]})
		}
		s.space()
		if s.take('}') {
			return nil
		}
		if !s.take(',') {
			return s.malformed("expected a comma or a brace")
		}
		s.space()
	}
}

func (s *scanner) array() error {
	if s.take(']') {
		return nil
	}
	for {
		start := s.at
		if err := s.element(); err != nil {
			return err
		}
		if s.depth == 1 && s.batch == nil {
			s.doc.elements = append(s.doc.elements, s.raw[start:s.at:s.at])
		}
		s.space()
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return s.malformed("expected a comma or a bracket")
		}
		s.space()
	}
}

// element reads an element of an array. That of a batch is a document of its
// own.
func (s *scanner) element() error {
	if s.batch == nil || s.depth != 1 {
		return s.value()
	}
	if s.taken++; s.taken > batchMax { // what was read takes many times its room
		return problem("payload-too-large", "Send at most 1,000 events in a batch.")
	}
	if s.inner == nil {
		s.inner = &scanner{raw: s.raw, most: maxDepth + 1}
	}
	own := s.inner
	own.at, own.depth, own.doc = s.at, 0, document{members: own.doc.members[:0]}
	err := own.top()
	if p := problemOf(err); p != nil && p.Name != "malformed-json" {
		s.batch(nil, err)
		return s.skip()
	}
	if err != nil {
		return err
	}
	s.batch(&own.doc, nil)
	s.at = own.at
	return nil
}

// skip goes past a value by its brackets and quotes alone.
func (s *scanner) skip() error {
	open := 0
	for s.at < len(s.raw) {
		c := s.raw[s.at]
		s.at++
		switch c {
		case '"':
			for s.at < len(s.raw) && s.raw[s.at] != '"' {
				if s.raw[s.at] == '\\' {
					s.at++
				}
				s.at++
			}
			s.at = min(s.at+1, len(s.raw))
		case '[', '{':
			open++
		case ']', '}':
			open--
		}
		if open == 0 { // only brackets and strings are ever skipped
			return nil
		}
	}
	return s.malformed("a value does not end")
}

func (s *scanner) word(word string) error {
	if !bytes.HasPrefix(s.raw[s.at:], []byte(word)) {
		return s.malformed("expected a value")
	}
	s.at += len(word)
	return nil
}

// number takes any number of the grammar, however large: its digits are
// delivered as they are.
func (s *scanner) number() error {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return s.malformed("expected a digit")
	}
	if s.take('.') && !s.digits() {
		return s.malformed("expected a digit")
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		if !s.digits() {
			return s.malformed("expected a digit")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.at
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.at++
	}
	return s.at > start
}

func (s *scanner) string() error {
	s.at++
	for s.at < len(s.raw) {
		switch c := s.raw[s.at]; {
		case c == '"':
			s.at++
			return nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		case c < ' ':
			return s.malformed("a control character must be escaped")
		case c < utf8.RuneSelf:
			s.at++
		default:
			r, size := utf8.DecodeRune(s.raw[s.at:])
			if r == utf8.RuneError && size == 1 {
				return problem("invalid-utf8", fmt.Sprintf("Send the body in UTF-8: byte %d is not.", s.at))
			}
			s.at += size
		}
	}
	return s.malformed("a string does not end")
}

func (s *scanner) escape() error {
	s.at++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at++
		return nil
	case 'u':
	default:
		return s.malformed("invalid escape")
	}
	first, ok := s.unit()
	if !ok {
		return s.malformed("expected four hexadecimal digits")
	}
	if !utf16.IsSurrogate(first) {
		return nil
	}
	if s.take('\\') && s.peek() == 'u' {
		second, ok := s.unit()
		if ok && utf16.DecodeRune(first, second) != utf8.RuneError {
			return nil
		}
	}
	return problem("invalid-utf8", fmt.Sprintf("Send surrogates in pairs: one before byte %d is alone.", s.at))
}

// unit reads the u and four digits of an escape.
func (s *scanner) unit() (rune, bool) {
	if len(s.raw)-s.at < 5 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s.raw[s.at+1:s.at+5]), 16, 16)
	if err != nil {
		return 0, false
	}
	s.at += 5
	return rune(n), true
}
