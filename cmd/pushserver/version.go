package main

import (
	"fmt"
	"runtime/debug"
)

// version is set by the linker for released builds.
var version string

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(c *console) error {
	_, err := fmt.Fprintln(c.out, "pushserver", buildVersion())
	return err
}

// buildVersion returns the version that this program was built from, if it is
// known.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
