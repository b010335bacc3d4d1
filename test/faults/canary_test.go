//go:build linux

package faults

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// The data of every event carries a canary that names its merchant. A search of all
// bytes that a reader received shows whether another merchant's event was there.

const (
	canaryBegins = "canary("
	canaryEnds   = ")"
	canaryMost   = 128 // bytes
)

func canaryFor(merchant string) string { return canaryBegins + merchant + canaryEnds }

// A canarySearch looks at all bytes of one connection, in pieces as they come.
type canarySearch struct {
	owner  string
	tail   []byte // may be the beginning of a canary
	leaked []string
}

func (s *canarySearch) look(b []byte) {
	text := append(s.tail, b...)
	for {
		at := bytes.Index(text, []byte(canaryBegins))
		if at < 0 {
			text = text[max(0, len(text)-len(canaryBegins)+1):]
			break
		}
		name, rest, whole := bytes.Cut(text[at+len(canaryBegins):], []byte(canaryEnds))
		if !whole && len(name) < canaryMost {
			text = text[at:]
			break
		}
		if string(name) != s.owner {
			s.leaked = append(s.leaked, strings.Clone(fmt.Sprintf("%.*s", canaryMost, name)))
		}
		text = rest
	}
	s.tail = bytes.Clone(text)
}

func TestFaultsCanaryOfAnotherIsFoundHoweverItIsCut(t *testing.T) {
	text := "data: " + canaryFor("mine") + canaryFor("other") + canaryBegins + canaryFor("mine")
	for cut := range len(text) + 1 {
		s := canarySearch{owner: "mine"}
		s.look([]byte(text[:cut]))
		s.look([]byte(text[cut:]))
		if len(s.leaked) != 2 || s.leaked[0] != "other" {
			t.Errorf("cut at %d: found %q, want the other's and the broken one", cut, s.leaked)
		}
	}
}
