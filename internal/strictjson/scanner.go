package strictjson

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// usualMembers is the initial capacity for members: an event rarely has more.
const usualMembers = 12

// A scanner reads a document from beginning to end.
type scanner struct {
	raw    []byte
	bounds Bounds
	at     int
	depth  int
	doc    Document

	each    func(*Document, error) // takes the elements of a batch; nil without one
	count   int                    // elements read
	element *scanner               // reads one element after another, reusing its memory
}

func (s *scanner) document() (*Document, error) {
	if bytes.HasPrefix(s.raw, []byte("\xef\xbb\xbf")) {
		return nil, s.fail(Malformed, "Send the body without a byte order mark.")
	}
	s.space()
	if s.at == len(s.raw) {
		return nil, s.fail(Malformed, "Send a JSON value. The body is empty.")
	}
	if err := s.top(); err != nil {
		return nil, err
	}
	if s.space(); s.at < len(s.raw) {
		return nil, s.expected("nothing after the value")
	}
	return &s.doc, nil
}

// top reads the document's value.
func (s *scanner) top() error {
	start := s.at
	if err := s.value(); err != nil {
		return err
	}
	s.doc.Raw = s.raw[start:s.at:s.at]
	s.doc.Kind = s.doc.Raw[0]
	if c := s.doc.Kind; c == '-' || '0' <= c && c <= '9' {
		s.doc.Kind = '0'
	}
	return nil
}

func (s *scanner) expected(what string) error {
	return s.fail(Malformed, "Fix the JSON: expected %s at byte %d.", what, s.at)
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

// peek returns the next byte, or 0 at the end: a NUL is never valid JSON.
func (s *scanner) peek() byte {
	if s.at < len(s.raw) {
		return s.raw[s.at]
	}
	return 0
}

func (s *scanner) accept(c byte) bool {
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
	return s.expected("a value")
}

func (s *scanner) nested(read func() error) error {
	if s.depth == s.bounds.Depth {
		return s.fail(TooDeep, "Nest at most %d arrays and objects inside one another.", s.bounds.Depth)
	}
	s.depth++
	s.at++
	s.space()
	err := read()
	s.depth--
	return err
}

func (s *scanner) object() error {
	if s.accept('}') {
		return nil
	}
	names := make(map[string]struct{})
	if s.depth == 1 && s.doc.Members == nil {
		s.doc.Members = make([]Member, 0, usualMembers)
	}
	for {
		start := s.at
		if s.peek() != '"' {
			return s.expected("a member name")
		}
		if err := s.string(); err != nil {
			return err
		}
		name, _ := Text(s.raw[start:s.at])
		if _, again := names[name]; again {
			return s.fail(Duplicate, "Write the member %s only once. The second one ends at byte %d.", Quote(name), s.at)
		}
		if len(names) == s.bounds.Members && s.bounds.Members > 0 {
			return s.fail(TooMany, "Send at most %d members in an object.", s.bounds.Members)
		}
		names[name] = struct{}{}
		s.space()
		if !s.accept(':') {
			return s.expected("a colon")
		}
		s.space()
		start = s.at
		if err := s.value(); err != nil {
			return err
		}
		if s.depth == 1 {
			s.doc.Members = append(s.doc.Members, Member{name, s.raw[start:s.at:s.at]})
		}
		s.space()
		if s.accept('}') {
			return nil
		}
		if !s.accept(',') {
			return s.expected("a comma or a brace")
		}
		s.space()
	}
}

func (s *scanner) array() error {
	if s.accept(']') {
		return nil
	}
	for {
		start := s.at
		if err := s.item(); err != nil {
			return err
		}
		if s.depth == 1 && s.each == nil {
			s.doc.Elements = append(s.doc.Elements, s.raw[start:s.at:s.at])
		}
		s.space()
		if s.accept(']') {
			return nil
		}
		if !s.accept(',') {
			return s.expected("a comma or a bracket")
		}
		s.space()
	}
}

// item reads an element of an array. An element of a batch is a document of its
// own.
func (s *scanner) item() error {
	if s.each == nil || s.depth != 1 {
		return s.value()
	}
	if s.count++; s.count > s.bounds.Elements { // parsed events take many times the memory of their text
		return s.fail(TooMany, "Send at most %d elements.", s.bounds.Elements)
	}
	if s.element == nil {
		s.element = &scanner{raw: s.raw, bounds: s.bounds}
	}
	own := s.element
	own.at, own.depth, own.doc = s.at, 0, Document{Members: own.doc.Members[:0]}
	err := own.top()
	var invalid *Error
	switch {
	case err == nil:
		s.each(&own.doc, nil)
		s.at = own.at
		return nil
	case errors.As(err, &invalid) && invalid.Code != Malformed:
		s.each(nil, err)
		return s.skip()
	}
	return err
}

// skip moves past a value by its brackets and quotes alone.
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
		if open == 0 { // only arrays, objects and strings are skipped
			return nil
		}
	}
	return s.expected("the end of a value")
}

func (s *scanner) word(word string) error {
	if !bytes.HasPrefix(s.raw[s.at:], []byte(word)) {
		return s.expected("a value")
	}
	s.at += len(word)
	return nil
}

// number accepts any number of the grammar, however large: its digits are
// delivered as they are.
func (s *scanner) number() error {
	s.accept('-')
	if !s.accept('0') && !s.digits() {
		return s.expected("a digit")
	}
	if s.accept('.') && !s.digits() {
		return s.expected("a digit")
	}
	if s.accept('e') || s.accept('E') {
		if !s.accept('+') {
			s.accept('-')
		}
		if !s.digits() {
			return s.expected("a digit")
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
			return s.expected("an escaped control character")
		case c < utf8.RuneSelf:
			s.at++
		default:
			r, size := utf8.DecodeRune(s.raw[s.at:])
			if r == utf8.RuneError && size == 1 {
				return s.fail(NotUTF8, "Send the body in UTF-8. Byte %d is not.", s.at)
			}
			s.at += size
		}
	}
	return s.expected("the end of a string")
}

func (s *scanner) escape() error {
	s.at++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at++
		return nil
	case 'u':
	default:
		return s.expected("a valid escape")
	}
	first, ok := s.unit()
	if !ok {
		return s.expected("four hexadecimal digits")
	}
	if !utf16.IsSurrogate(first) {
		return nil
	}
	if s.accept('\\') && s.peek() == 'u' {
		second, ok := s.unit()
		if ok && utf16.DecodeRune(first, second) != utf8.RuneError {
			return nil
		}
	}
	return s.fail(NotUTF8, "Send surrogates in pairs. The one before byte %d is alone.", s.at)
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
