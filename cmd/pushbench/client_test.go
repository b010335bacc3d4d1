//go:build linux

package main

import "testing"

func TestEveryFaultIsCounted(t *testing.T) {
	const group = 3
	c := &client{lanes: 2, last: make([]uint32, 2), conns: []conn{{group: group, open: true}}, step: 7}
	for _, m := range []marker{
		{step: 7, group: group, seq: 1},
		{step: 7, group: group, seq: 1}, // again
		{step: 7, group: group, seq: 4},
		{step: 7, group: group, seq: 3},          // late
		{step: 7, group: group, lane: 1, seq: 2}, // of another connection: no order between the two
		{step: 7, group: group + 1, seq: 5},      // another group's
		{step: 6, group: group, seq: 6},          // of an earlier step
	} {
		c.count(0, appendEvent(nil, "acme", m, 100))
	}
	r := result{expected: 5, arrived: c.arrived}
	got := [...]int{c.arrived.events, c.arrived.repeated, c.arrived.reordered, c.arrived.misrouted, r.lost(), r.faults()}
	if want := [...]int{3, 1, 1, 1, 1, 4}; got != want {
		t.Errorf("received, repeated, reordered, misrouted, lost, faults: got %v, want %v", got, want)
	}
}
