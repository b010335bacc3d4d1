//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"text/tabwriter"
)

// column are the servers, as the table names them.
var column = [...]string{"pushserver", "bare", "textbook"}

// A figure is one value of one server.
type figure struct {
	name  string
	unit  string
	value float64
	goal  string // for pushserver; empty: none
}

// A row is one figure of all servers.
type row struct {
	Mode       string   `json:"mode"`
	Figure     string   `json:"figure"`
	Unit       string   `json:"unit"`
	Pushserver *float64 `json:"pushserver"`
	Bare       *float64 `json:"bare"`
	Textbook   *float64 `json:"textbook"`
	Ratio      *float64 `json:"ratio"` // pushserver to bare, of what has a unit
	Goal       string   `json:"goal,omitempty"`
}

type table struct{ rows []*row }

// add adds what one server, by its column, has in one mode.
func (t *table) add(mode string, server int, figures []figure) {
	for _, f := range figures {
		r := t.row(mode, f)
		*[...]**float64{&r.Pushserver, &r.Bare, &r.Textbook}[server] = &f.value
		if f.unit != "" && r.Pushserver != nil && r.Bare != nil && *r.Bare > 0 {
			ratio := *r.Pushserver / *r.Bare
			r.Ratio = &ratio
		}
	}
}

func (t *table) row(mode string, f figure) *row {
	for _, r := range t.rows {
		if r.Mode == mode && r.Figure == f.name {
			return r
		}
	}
	r := &row{Mode: mode, Figure: f.name, Unit: f.unit, Goal: f.goal}
	t.rows = append(t.rows, r)
	return r
}

func (t *table) write(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "mode\tfigure\tunit\tpushserver\tbare\ttextbook\tratio\tgoal\t")
	for _, r := range t.rows {
		goal := r.Goal
		if goal == "" {
			goal = "-"
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.Mode, r.Figure, r.Unit,
			show(r.Pushserver), show(r.Bare), show(r.Textbook), show(r.Ratio), goal)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "\nratio is pushserver to bare")
	return err
}

// show prints about three digits.
func show(v *float64) string {
	switch {
	case v == nil:
		return "-"
	case *v == float64(int64(*v)) || *v >= 1000:
		return strconv.FormatFloat(*v, 'f', 0, 64)
	case *v >= 100:
		return strconv.FormatFloat(*v, 'f', 1, 64)
	}
	return strconv.FormatFloat(*v, 'f', 2, 64)
}

// writeJSON prints the table and what it is of; not the arguments, which have
// keys in them.
func (t *table) writeJSON(w io.Writer, m *measureCommand) error {
	rows := t.rows
	if rows == nil {
		rows = []*row{}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{
		"mode": m.Mode, "streams": m.N, "groups": m.Groups, "size": m.Size, "cluster": m.Cluster,
		"cores": runtime.NumCPU(), "figures": rows,
	})
}
