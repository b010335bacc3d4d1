//go:build linux

package faults

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
)

var (
	faultsFlag = flag.String("faults", "smoke", "what TestFaults runs: smoke, full (45 minutes) or soak (until -timeout is near); -v prints the figures")
	seedFlag   = flag.Uint64("seed", 0, "seed of the choices by chance; 0: any")
)

// A faultRow is one row of the table in doc.go.
type faultRow struct {
	name  string
	smoke bool
	run   func(*testing.T, *fixture)
}

var faultRows = []faultRow{
	{"T1 rolled-back log", true, testRolledBackLog},
	{"T2 paused master", true, testPausedMaster},
	{"T3 killed master", true, testKilledMaster},
	{"T5 killed gateway", true, testKilledGateway},
	{"T6 moved slot", true, testMovedSlot},
	{"T7 trimmed log", true, testTrimmedLog},
	{"T8 partition", false, testPartition},
	{"T10 full disk", true, testFullDisk},
	{"T11 full memory", false, testFullMemory},
	{"T14 cut frame", true, testCutFrame},
	{"T15 slow readers", false, testSlowReaders},
	{"T16 drain", true, testDrain},
	{"T18 durable directory", true, testDurableDirectory},
	{"T19 late answers", false, testLateAnswers},
	{"T20 idle readers", true, testIdleReaders},
	{"T21 all at once", false, testNemesis},
}

// TestFaults runs the rows one after the other.
func TestFaults(t *testing.T) {
	if !slices.Contains([]string{"smoke", "full", "soak"}, *faultsFlag) {
		t.Fatalf("-faults is %q, want smoke, full or soak", *faultsFlag)
	}
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(rand.Uint32())
	}
	t.Logf("faults: %s, seed %d", *faultsFlag, seed)
	s := openFixture(t, seed)
	s.full, s.soak = *faultsFlag == "full", *faultsFlag == "soak"
	if s.soak {
		t.Run("soak", func(t *testing.T) { testNemesis(t, s) })
		return
	}
	for _, row := range faultRows {
		if s.full || row.smoke {
			t.Run(row.name, func(t *testing.T) { row.run(t, s) })
		}
	}
	t.Run("mutations", func(t *testing.T) { testMutations(t, s) })
	t.Log(s.report.String())
}
