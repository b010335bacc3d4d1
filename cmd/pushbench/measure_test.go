//go:build linux

package main

import (
	"os"
	"slices"
	"testing"
	"time"
)

// The references and noise are commands of this program, and here the program is
// the test.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{column[1], column[2], "noise"}, os.Args[1]) {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// No times are checked: only that every server delivers all to everyone.
func TestEveryServerDeliversWhatIsExpected(t *testing.T) {
	program, err := build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]float64{ // by mode and figure
		"idle":       {"streams open": 50},
		"fanout":     {"deliveries expected": 50, "deliveries received": 50, "lost, repeated or astray": 0},
		"latency":    {"deliveries expected": 40, "deliveries received": 40, "lost, repeated or astray": 0},
		"groups":     {"deliveries expected": 2000, "deliveries received": 2000, "lost, repeated or astray": 0},
		"replay":     {"events expected": 400, "events received": 400},
		"storm":      {"streams open after a storm": 50, "lost alone": 0, "lost in the storm": 0, "repeated, reordered or astray": 0},
		"limits":     {},
		"neighbours": {"lost alone": 0, "lost beside many events": 0, "lost beside many filters": 0, "lost beside another server": 0},
	}
	for mode, figures := range want {
		m := &measureCommand{Mode: mode, Server: program, N: 50, Groups: 10, Merchants: 1, Size: 100,
			Duration: 200 * time.Millisecond, Coalesce: time.Millisecond, References: true}
		switch mode {
		case "limits":
			m.Cluster = true
		case "replay":
			m.N = 80
		case "storm":
			m.Duration = stormTime + 500*time.Millisecond
		}
		got, err := m.measure(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		if mode == "limits" && len(got.rows) != 21 {
			t.Errorf("limits has %d figures, want 7 of a server without, with, and their ratio", len(got.rows))
		}
		for name, value := range figures {
			r := got.row(mode, figure{name: name})
			values := map[string]*float64{column[0]: r.Pushserver, column[1]: r.Bare, column[2]: r.Textbook}
			for server, v := range values {
				if v == nil && !referenced(mode) && server != column[0] {
					continue // has no history, or only one merchant
				}
				if v == nil || *v != value {
					t.Errorf("%s, %s, %s: got %s, want %v", mode, server, name, show(v), value)
				}
			}
		}
	}
}

// referenced reports whether the references can do this too.
func referenced(mode string) bool {
	i := slices.IndexFunc(measurements, func(m measurement) bool { return m.name == mode })
	return measurements[i].reference
}
