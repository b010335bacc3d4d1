//go:build linux

package faults

import (
	"context"
	"sync"
	"time"
)

const (
	// monitorPeriod is between two readings of an instance.
	monitorPeriod = 500 * time.Millisecond
	// goroutineSlack and descriptorSlack are how many more an instance at rest may
	// have at the end than at the beginning, because some of its work is periodic.
	goroutineSlack  = 12
	descriptorSlack = 6
)

// A monitor reads the figures of a trial's instances, at rest before the first
// reader, under load, and at rest at the end.
type monitor struct {
	trial *trial
	stop  context.CancelFunc
	done  sync.WaitGroup
	start []reading // by instance

	mu   sync.Mutex // guards the following
	peak []reading
	end  []reading
}

func beginMonitor(tr *trial) *monitor {
	tr.t.Helper()
	n := len(tr.instances)
	m := &monitor{trial: tr, start: make([]reading, n), peak: make([]reading, n), end: make([]reading, n)}
	for i, instance := range tr.instances {
		var err error
		if m.start[i], err = instance.read(tr.ctx); err != nil {
			tr.t.Fatalf("read the figures of gateway %d: %v", i, err)
		}
	}
	ctx, stop := context.WithCancel(tr.ctx)
	m.stop = stop
	tr.t.Cleanup(func() {
		stop()
		m.done.Wait()
	})
	m.done.Go(func() {
		for pause(ctx, monitorPeriod) == nil {
			for i, instance := range tr.instances {
				if r, err := instance.read(ctx); err == nil { // it may be dead at the moment
					m.see(i, r)
				}
			}
		}
	})
	return m
}

func (m *monitor) see(i int, r reading) {
	m.mu.Lock()
	defer m.mu.Unlock()
	peak := &m.peak[i]
	peak.goroutines = max(peak.goroutines, r.goroutines)
	peak.descriptors = max(peak.descriptors, r.descriptors)
	peak.memory = max(peak.memory, r.memory)
}

// peakOf returns the highest figures of an instance so far.
func (m *monitor) peakOf(i int) reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peak[i]
}

// rest ends the monitor when the instances are at rest. It fails the test if one keeps
// what only its load needed.
func (m *monitor) rest() {
	tr := m.trial
	tr.t.Helper()
	m.stop()
	m.done.Wait()
	ctx, cancel := context.WithTimeout(tr.t.Context(), 15*time.Second)
	defer cancel()
	for i, instance := range tr.instances {
		if instance.process().HasExited() {
			continue
		}
		instance.client.CloseIdleConnections()
		for {
			r, err := instance.read(ctx)
			m.see(i, r)
			m.end[i] = r
			grown := r.goroutines > m.start[i].goroutines+goroutineSlack || r.descriptors > m.start[i].descriptors+descriptorSlack
			if err == nil && !grown {
				break
			}
			if pause(ctx, 100*time.Millisecond) != nil {
				tr.t.Errorf("gateway %d at rest has %+v, at the beginning it had %+v (%v)", i, r, m.start[i], err)
				break
			}
		}
	}
}
