package main

import (
	"github.com/paylogic/pushserver/streams/eventlog"

	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/paylogic/pushserver/api/keys"
)

// auditPage is the number of changes per request.
const auditPage = 1000

type keysAuditCommand struct {
	Registry registryFlags `embed:""`
	JSON     bool          `name:"json" help:"Print one line of JSON per change."`
}

// Run prints all retained changes, oldest first.
func (k *keysAuditCommand) Run(ctx context.Context, c *console) error {
	return k.Registry.use(ctx, c, func(ctx context.Context, r registry) error {
		for after := (eventlog.ID{}); ; {
			page, err := r.Audit(ctx, after, auditPage)
			if err != nil {
				return err
			}
			for _, change := range page.Changes {
				if k.JSON {
					err = printJSON(c.out, change)
				} else {
					err = printChange(c.out, change)
				}
				if err != nil {
					return err
				}
			}
			if !page.More {
				return nil
			}
			after = page.Cursor
		}
	})
}

func printChange(w io.Writer, r keys.Record) error {
	var more strings.Builder
	if r.Merchant != "" {
		more.WriteString(" merchant=" + r.Merchant)
	}
	if len(r.Fields) > 0 {
		more.WriteString(" fields=" + strings.Join(r.Fields, ","))
	}
	if !r.FormerUntil.IsZero() {
		more.WriteString(" former_until=" + r.FormerUntil.UTC().Format(time.RFC3339))
	}
	_, err := fmt.Fprintf(w, "%s %s %s kind=%s revision=%d by=%s%s\n",
		r.Time.UTC().Format(time.RFC3339), r.Action, r.Key, r.Kind, r.Revision, r.By, &more)
	return err
}
