//go:build linux

// Command pushbench measures what a pushserver costs, beside two references
// that it runs in the same minutes: a bare write loop, which shows what the
// kernel takes, and a textbook net/http hub.
//
// It speaks to loopback only, and shows ratios: absolute figures are those of
// the machine, whose cores client and server share.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands is the command line. The references and noise are commands too, so that
// each is a process of its own whose memory and time can be told apart.
type commands struct {
	Measure  measureCommand  `cmd:"" default:"withargs" help:"Measure, and print a table."`
	Bare     bareCommand     `cmd:"" hidden:"" help:"Serve as the bare write loop."`
	Textbook textbookCommand `cmd:"" hidden:"" help:"Serve as the textbook hub."`
	Noise    noiseCommand    `cmd:"" hidden:"" help:"Publish in the background of a measurement."`
}

func main() {
	// The kernel ends our children when the thread that started them ends. The
	// main thread ends last.
	runtime.LockOSThread()
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	parser, err := kong.New(new(commands),
		kong.Name("pushbench"),
		kong.Description("What a pushserver costs, beside a bare write loop and a textbook hub."),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		panic(err) // a bug in the definition above, not in the input
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pushbench:", err, "(see pushbench --help)")
		return 2
	}
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "pushbench:", err)
		return 1
	}
	return 0
}
