//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const noiseLanes = 8

// noiseCommand publishes for one merchant, to be a noise for others, until it is
// stopped. It prints a line when it begins, and at the end how many events were
// accepted in how many seconds.
// Exceeding a limit is not an error.
//
// It is a separate process, and [startIdle] gives it only otherwise idle time:
// in practice noise comes from other machines and costs only the server.
type noiseCommand struct {
	Address  string `arg:""`
	Key      string `arg:""`
	Merchant string `arg:""`
	Step     uint32 `required:""`
	Rate     int    `required:"" help:"Events per second."`
	Batch    int    `required:""`
	Size     int    `required:""`
}

// Run publishes until ctx is done.
func (n *noiseCommand) Run(ctx context.Context) error {
	s := &server{addr: n.Address, publisher: n.Key, tenants: []tenant{{merchant: n.Merchant}}}
	publishers := make([]*publisher, noiseLanes)
	for lane := range publishers {
		p, err := s.dialPublisher()
		if err != nil {
			return err
		}
		defer p.close()
		publishers[lane] = p
	}
	fmt.Println("begun")
	start := time.Now()
	var accepted atomic.Int64
	var lanes sync.WaitGroup
	errs := make([]error, noiseLanes)
	for lane, p := range publishers {
		lanes.Go(func() { errs[lane] = n.publish(ctx, p, lane, &accepted) })
	}
	lanes.Wait()
	fmt.Println(accepted.Load(), time.Since(start).Seconds())
	return errors.Join(errs...)
}

// publish is one lane's part.
func (n *noiseCommand) publish(ctx context.Context, p *publisher, lane int, accepted *atomic.Int64) error {
	last := marker{step: n.Step, group: 1, lane: uint32(lane)}
	pause := time.Duration(noiseLanes*n.Batch) * time.Second / time.Duration(n.Rate)
	time.Sleep(pause * time.Duration(lane) / noiseLanes) // a rate, not a burst of all lanes
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for ctx.Err() == nil {
		count, err := p.postEvents(&last, n.Batch, n.Size)
		switch {
		case errors.Is(err, errQuota):
			count = 0
		case err != nil:
			return err
		}
		accepted.Add(int64(count))
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// noise has the second merchant's events published until end, which returns how
// many were accepted, in how many seconds.
func (m *measureCommand) noise(ctx context.Context, s *server, key string, rate, batch int) (end func() (accepted, seconds float64, err error), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	flag := func(name string, value int) string { return "--" + name + "=" + strconv.Itoa(value) }
	c, err := startIdle(ctx, self, "noise", s.addr, key, s.tenant(1).merchant,
		flag("step", int(nextStep())), flag("rate", rate), flag("batch", batch), flag("size", m.Size))
	if err != nil {
		return nil, err
	}
	return func() (accepted, seconds float64, err error) {
		_, err = fmt.Sscan(c.stop(), &accepted, &seconds)
		if err != nil || !c.cmd.ProcessState.Success() {
			return 0, 0, fmt.Errorf("noise: %s\n%s", c.cmd.ProcessState, c.log)
		}
		return accepted, seconds, nil
	}, nil
}

// stepBack has the calling goroutine, until it ends, wait for processors that others
// want: in practice its readers are on other machines.
func stepBack() {
	runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 10)
}
