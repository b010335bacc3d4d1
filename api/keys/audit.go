package keys

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"errors"

	"github.com/paylogic/pushserver/auth"
)

// A Record is a change in the audit, with its position.
type Record struct {
	Position eventlog.ID `json:"position"`
	auth.Change
}

// AuditPage is a part of the audit, oldest first.
type AuditPage struct {
	Changes []Record    `json:"changes"`
	Cursor  eventlog.ID `json:"cursor"` // continue after it
	More    bool        `json:"more,omitempty"`
	// Trimmed says that changes between the requested position and the first one
	// here are no longer retained.
	Trimmed bool `json:"trimmed,omitempty"`
}

// Audit returns up to limit changes that follow a position; the zero position precedes
// the first. Changes are kept as long as the control log retains its entries.
func (r Registry) Audit(ctx context.Context, after eventlog.ID, limit int) (AuditPage, error) {
	page := AuditPage{Changes: []Record{}, Cursor: after}
	if after.IsZero() {
		bounds, err := r.Log.Bounds(ctx, auth.ControlLog)
		if err != nil {
			return page, err
		}
		page.Cursor = bounds.Floor()
	}
	batch, err := r.Log.Read(ctx, auth.ControlLog, page.Cursor, limit)
	if err != nil {
		return page, err
	}
	if batch.Gap != nil {
		page.Trimmed = true
		page.Cursor = batch.Gap.Bounds.Floor()
		if batch, err = r.Log.Read(ctx, auth.ControlLog, page.Cursor, limit); err != nil {
			return page, err
		}
		if batch.Gap != nil {
			return page, errors.New("keys: the control log moves faster than it can be read")
		}
	}
	for _, entry := range batch.Entries {
		page.Cursor = entry.ID
		change, err := auth.ParseChange(entry.Event.Data)
		if err != nil {
			continue // another version's; the position moves on
		}
		page.Changes = append(page.Changes, Record{entry.ID, change})
	}
	page.More = len(batch.Entries) == limit
	return page, nil
}
