package main

import (
	"fmt"

	"github.com/paylogic/pushserver/api/catalog"
)

// catalogFlags say which types of events a server knows, and whether it takes
// others.
type catalogFlags struct {
	Catalog      string `help:"File with the catalogue of event types, instead of the built-in one." placeholder:"FILE" env:"PUSHSERVER_CATALOG"`
	UnknownTypes string `help:"What becomes of events of types that the catalogue does not have: allow or reject. By default allow with the built-in catalogue and reject with --catalog." enum:",allow,reject" default:"" placeholder:"allow|reject" env:"PUSHSERVER_UNKNOWN_TYPES"`
}

// load returns the catalogue, and whether other types are refused.
func (f *catalogFlags) load() (c *catalog.Catalog, rejectUnknown bool, err error) {
	if f.Catalog == "" {
		return catalog.Builtin(), f.UnknownTypes == "reject", nil
	}
	c, err = catalog.Load(f.Catalog)
	return c, f.UnknownTypes != "allow", err
}

type catalogCommand struct {
	Check catalogCheckCommand `cmd:"" help:"Ask whether a changed catalogue can take the place of the one in use. Exits with 1 if merchants or publishers would break."`
}

type catalogCheckCommand struct {
	Old string `arg:"" help:"File with the catalogue in use."`
	New string `arg:"" help:"File with the one to come."`
}

// Run prints what would break, one line each.
func (k *catalogCheckCommand) Run(c *console) error {
	old, err := catalog.Load(k.Old)
	if err != nil {
		return err
	}
	next, err := catalog.Load(k.New)
	if err != nil {
		return err
	}
	breaks := catalog.Compatible(old, next)
	for _, b := range breaks {
		fmt.Fprintln(c.out, b)
	}
	if len(breaks) > 0 {
		return fmt.Errorf("%s breaks what %s promises, in %d places: add a type or a member beside the old one, and deprecate that one",
			k.New, k.Old, len(breaks))
	}
	_, err = fmt.Fprintln(c.out, "compatible")
	return err
}
