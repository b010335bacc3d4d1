//go:build !linux

// Command pushbench measures what a pushserver costs. It needs Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "pushbench runs on Linux only: it needs epoll and /proc")
	os.Exit(1)
}
