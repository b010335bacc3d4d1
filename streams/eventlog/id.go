package eventlog

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/paylogic/pushserver/internal/base62"
)

// tagLen is the length of an ID's tag. Five of 62 characters are 916 million
// values, so the chance that a foreign or lost position passes for one of this
// log is about one in a billion.
const tagLen = 5

// ErrMalformedID reports text that is not an [ID].
var ErrMalformedID = errors.New("eventlog: malformed position")

// An ID is the position of an event in its log. Its text is <ms>-<seq>-<tag>:
// milliseconds since 1970 when the log took the event, a number that orders the
// events of one millisecond, and a random tag. The tag makes the position a
// proof, because <ms>-<seq> may occur again in another log, or in the same log
// after a rollback.
//
// IDs are equal (==) if they are the same position. The zero ID is no position.
// Before the first event of a log is its origin, 0-0-<incarnation>; the
// incarnation is a tag that the log gets when it is created.
//
// The text has at most 47 bytes of [0-9A-Za-z-], so it works as an SSE id, and
// as a Last-Event-ID header without a CORS preflight.
type ID struct {
	ms, seq uint64
	tag     [tagLen]byte
}

// ParseID parses the text of an ID. It accepts only the spelling of
// [ID.String]. Its only error is [ErrMalformedID].
func ParseID(s string) (ID, error) {
	stamp, tag, ok := cutLast(s)
	if !ok || len(tag) != tagLen {
		return ID{}, ErrMalformedID
	}
	id, err := parseStamp(stamp)
	if err != nil {
		return ID{}, err
	}
	for i := range tagLen {
		if !base62.Is(tag[i]) {
			return ID{}, ErrMalformedID
		}
		id.tag[i] = tag[i]
	}
	return id, nil
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '-')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

// parseStamp parses <ms>-<seq>, the form that Redis uses.
func parseStamp(s string) (ID, error) {
	ms, seq, ok := strings.Cut(s, "-")
	if !ok {
		return ID{}, ErrMalformedID
	}
	var id ID
	var err error
	if id.ms, err = parseNumber(ms); err != nil {
		return ID{}, err
	}
	if id.seq, err = parseNumber(seq); err != nil {
		return ID{}, err
	}
	return id, nil
}

func parseNumber(s string) (uint64, error) {
	if s == "" || len(s) > 1 && s[0] == '0' || s[0] == '+' {
		return 0, ErrMalformedID
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, ErrMalformedID
	}
	return n, nil
}

func newTag() (tag [tagLen]byte) {
	base62.Fill(tag[:])
	return tag
}

func originOf(incarnation [tagLen]byte) ID { return ID{tag: incarnation} }

// String returns the text of id.
func (id ID) String() string { return string(id.Append(nil)) }

// Append appends the text of id to dst.
func (id ID) Append(dst []byte) []byte {
	dst = id.appendStamp(dst)
	dst = append(dst, '-')
	if id.tag == ([tagLen]byte{}) {
		return append(dst, "00000"...)
	}
	return append(dst, id.tag[:]...)
}

// stamp returns <ms>-<seq>, the ID of the entry in Redis.
func (id ID) stamp() string { return string(id.appendStamp(nil)) }

func (id ID) appendStamp(dst []byte) []byte {
	dst = strconv.AppendUint(dst, id.ms, 10)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, id.seq, 10)
}

// MarshalText implements [encoding.TextMarshaler].
func (id ID) MarshalText() ([]byte, error) { return id.Append(nil), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. Its error is that of
// [ParseID].
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID(string(text))
	return err
}

// IsZero reports whether id is the zero ID, which is no position.
func (id ID) IsZero() bool { return id == ID{} }

// IsOrigin reports whether id is the position before the first event of a log.
func (id ID) IsOrigin() bool { return id.ms == 0 && id.seq == 0 && !id.IsZero() }

// Time returns when the log took the event, to the millisecond, in UTC, by the
// clock of the machine that kept the log.
func (id ID) Time() time.Time { return time.UnixMilli(int64(id.ms)).UTC() }

// Compare orders positions of one log: negative if id is before other, positive
// if it is after. Zero means the same <ms>-<seq>, not the same position;
// compare positions with ==.
func (id ID) Compare(other ID) int {
	if c := cmp.Compare(id.ms, other.ms); c != 0 {
		return c
	}
	return cmp.Compare(id.seq, other.seq)
}

// GoString implements [fmt.GoStringer], for failing tests.
func (id ID) GoString() string { return fmt.Sprintf("streams.ID(%s)", id) }
