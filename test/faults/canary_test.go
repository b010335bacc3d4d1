//go:build linux

package faults

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// A canary is in the data of every event and says whose it is, so that it can be
// told from all bytes that somebody received whether one of another's is there.

const (
	canaryBegins = "canary("
	canaryEnds   = ")"
	canaryMost   = 128 // bytes
)

func canaryFor(merchant string) string { return canaryBegins + merchant + canaryEnds }

// A canarySearch looks at all bytes of one connection, in pieces as they come.
type canarySearch struct {
	owner  string
	tail   []byte // what may be the beginning of one
	leaked []string
}

// look looks at the next bytes.
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
