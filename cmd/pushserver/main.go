// Command pushserver gives every API key a live, filtered, resumable feed of
// the events that internal services publish.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/paylogic/pushserver/ratelimit/policy"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the default applies again: a second one ends the
	// program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// A console is the input and output of a command.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// commands is the command line.
type commands struct {
	Serve       serveCommand       `cmd:"" help:"Run the server, over Redis or embedded."`
	Dev         devCommand         `cmd:"" help:"Try it out: an embedded server with ready-made keys. Nothing is kept after it ends."`
	Keys        keysCommand        `cmd:"" help:"Create, list, change and revoke API keys."`
	Merchants   merchantsCommand   `cmd:"" help:"Create and list merchants."`
	Publish     publishCommand     `cmd:"" help:"Publish one event."`
	Inbox       inboxCommand       `cmd:"" help:"Inspect the inbox in Redis."`
	Listen      listenCommand      `cmd:"" help:"Print events as they happen. Resumes by itself."`
	Catalog     catalogCommand     `cmd:"" help:"Check a catalogue of event types."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
	Healthcheck healthcheckCommand `cmd:"" help:"Check the health of a running server; the exit code is the answer."`
}

// exitRequest is how kong's request to exit, after --help, leaves the parser.
type exitRequest int

// run executes the command line and returns the exit code. Long-running
// commands shut down cleanly when ctx is done.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			exit, ok := r.(exitRequest)
			if !ok {
				panic(r)
			}
			code = int(exit)
		}
	}()

	parser, err := kong.New(&commands{},
		kong.Name("pushserver"),
		kong.Description("A live, filtered, resumable feed of events for every API key."),
		kong.Writers(stdout, stderr),
		kong.Vars{"limits": policy.Defaults().String()},
		kong.Exit(func(code int) { panic(exitRequest(code)) }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(&console{in: stdin, out: stdout, err: stderr}),
	)
	if err != nil {
		panic(err) // a bug in the definition above, not in the input
	}
	command, err := parser.Parse(args)
	if err != nil {
		complain(stderr, fmt.Errorf("%w (see pushserver --help)", err))
		return exitUsage
	}
	if err := command.Run(); err != nil {
		complain(stderr, err)
		return exitFailed
	}
	return exitOK
}

// complain writes err as one line.
func complain(w io.Writer, err error) {
	text := strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	fmt.Fprintf(w, "pushserver: %s\n", text)
}
