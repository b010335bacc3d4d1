package streams

import "github.com/paylogic/pushserver/streams/eventlog"

// Answer returns a page as a stream that has ended: for clients that cannot wait
// for the end of a response that has none. It begins with when to come back, and
// ends with the position to come back with.
func (f Framing) Answer(page Page) []byte {
	text := f.control(eventlog.ID{}, "stream.open", pollRetry, struct{}{})
	if page.Reset != nil {
		page.Cursor = page.Reset.After
		text = append(text, f.control(eventlog.ID{}, "stream.reset", 0, page.Reset)...)
	}
	var last eventlog.ID
	for i := range page.Entries {
		text = append(text, f.event(&page.Entries[i])...)
		last = page.Entries[i].ID
	}
	switch {
	case last == page.Cursor:
	case f.quiet():
		text = append(append(text, "id: "...), page.Cursor.String()+"\n\n"...) // it fires nothing
	default:
		text = append(text, f.control(page.Cursor, "stream.cursor", 0, struct{}{})...)
	}
	return text
}

// pollRetry is when whoever polls comes back: soon, for the answer itself waits.
const pollRetry = retryTime / 6
