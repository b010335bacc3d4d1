package main

import (
	"fmt"

	"github.com/paylogic/pushserver/api/catalog"
	"github.com/paylogic/pushserver/api/catalog/compat"
)

// catalogFlags say which event types a server knows, and whether it accepts
// others.
type catalogFlags struct {
	Catalog      string `help:"File with the catalogue of event types, instead of the built-in one." placeholder:"FILE" env:"PUSHSERVER_CATALOG"`
	UnknownTypes string `help:"Whether to allow or reject events of types outside the catalogue. The default is allow with the built-in catalogue and reject with --catalog." enum:",allow,reject" default:"" placeholder:"allow|reject" env:"PUSHSERVER_UNKNOWN_TYPES"`
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
	Check catalogCheckCommand `cmd:"" help:"Check whether a new catalogue can replace the one in use. Exits with 1 if it would break merchants or publishers."`
}

type catalogCheckCommand struct {
	Old string `arg:"" help:"File with the catalogue in use."`
	New string `arg:"" help:"File with the new catalogue."`
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
	breaks := compat.Check(old, next)
	for _, b := range breaks {
		fmt.Fprintln(c.out, b)
	}
	if len(breaks) > 0 {
		return fmt.Errorf("%s breaks what %s promises in %d places: add a new type or member beside the old one, and deprecate the old one",
			k.New, k.Old, len(breaks))
	}
	_, err = fmt.Fprintln(c.out, "compatible")
	return err
}
