//go:build !linux

package redistest

import "errors"

var errNoDisk = errors.New("only Linux has disks for one process")

func (d *disk) mount(string) error { return errNoDisk }
func (d *disk) resize(int) error   { return errNoDisk }
func (d *disk) limit(int) error    { return errNoDisk }
