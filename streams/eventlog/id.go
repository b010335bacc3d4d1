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

// tagLen is the length of an ID's tag: five of 62 characters are 916 million
// values, so a position of another log, or of this log before a rollback, is
// taken for a position of this one with a chance of one in a billion.
const tagLen = 5

// ErrMalformedID reports text that is not the text of any [ID].
var ErrMalformedID = errors.New("streams: malformed position")

// An ID is the position of an event in its log, written <ms>-<seq>-<tag>: the
// milliseconds since 1970 at which the log took it, a number that orders the
// events of one millisecond, and a random tag. The tag makes a position a
// proof: <ms>-<seq> alone recurs in other logs, and in one log after a
// rollback.
//
// Two IDs are equal (==) if they are the same position. The zero ID is no
// position. The position before the first event of a log is its origin,
// 0-0-<incarnation>, where the incarnation is a tag given when the log was made.
//
// The text of an ID has at most 47 bytes of [0-9A-Za-z-], so that it can be an
// SSE id and a Last-Event-ID header without a CORS preflight.
type ID struct {
	ms, seq uint64
	tag     [tagLen]byte
}

// ParseID reads the text of an ID. Its only error is [ErrMalformedID]; any
// spelling but the one that [ID.String] gives is refused.
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

// parseStamp reads <ms>-<seq>, an ID without its tag, as Redis writes it.
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

// newTag returns a random tag.
func newTag() (tag [tagLen]byte) {
	base62.Fill(tag[:])
	return tag
}

// originOf returns the position before the first event of the log with the
// given incarnation.
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

// stamp returns <ms>-<seq>, the name of the entry in Redis.
func (id ID) stamp() string { return string(id.appendStamp(nil)) }

func (id ID) appendStamp(dst []byte) []byte {
	dst = strconv.AppendUint(dst, id.ms, 10)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, id.seq, 10)
}

// MarshalText returns the text of id.
func (id ID) MarshalText() ([]byte, error) { return id.Append(nil), nil }

// UnmarshalText is [ParseID].
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID(string(text))
	return err
}

// IsZero reports whether id is no position at all.
func (id ID) IsZero() bool { return id == ID{} }

// IsOrigin reports whether id is the position before a log's first event.
func (id ID) IsOrigin() bool { return id.ms == 0 && id.seq == 0 && !id.IsZero() }

// Time returns when the log took the event, to the millisecond, by the clock
// of the machine that kept the log.
func (id ID) Time() time.Time { return time.UnixMilli(int64(id.ms)).UTC() }

// Compare orders positions of one log: it is negative if id comes before
// other, positive if after. Zero does not mean that they are the same
// position; only == does.
func (id ID) Compare(other ID) int {
	if c := cmp.Compare(id.ms, other.ms); c != 0 {
		return c
	}
	return cmp.Compare(id.seq, other.seq)
}

// GoString shows the ID in failing tests.
func (id ID) GoString() string { return fmt.Sprintf("streams.ID(%s)", id) }
