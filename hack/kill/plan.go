package main

import (
	"fmt"
	"slices"
)

// victim is the process that is killed.
type victim string

const (
	// suite is the process that does the work: nothing can clean up after it.
	suite victim = "suite"
	// cli is the Ginkgo command above it: the suite must notice and end in order.
	cli victim = "cli"
)

// cure is what must leave nothing behind.
type cure string

const (
	clean cure = "make clean"
	// start is the next start, ended again as soon as its cloud is up.
	start cure = "the next start"
	// green is the next start, run to a green end.
	green cure = "a whole run"
)

// attack is one kill -9 and what follows it.
type attack struct {
	phase  string
	victim victim
	cure   cure
}

func (a attack) String() string {
	return fmt.Sprintf("kill -9 %s in %s, then %s", a.victim, a.phase, a.cure)
}

// setupPhase is what comes before the first row.
const setupPhase = "setup"

// plan lays out the attacks: each victim in set-up and in each phase of a whole
// run, make clean and the next start taking turns; and a whole green run after a
// kill of each before (create), in (upgrade) and after (verify_target) the upgrade.
func plan(phases []string) ([]attack, error) {
	whole := []string{"create", "upgrade", "verify_target"}
	for _, phase := range whole {
		if !slices.Contains(phases, phase) {
			return nil, fmt.Errorf("the whole run had no phase %s, only %v", phase, phases)
		}
	}
	var attacks []attack
	for i, phase := range append([]string{setupPhase}, phases...) {
		for j, victim := range []victim{suite, cli} {
			cure := clean
			if (i+j)%2 == 1 {
				cure = start
			}
			if slices.Contains(whole, phase) {
				cure = green
			}
			attacks = append(attacks, attack{phase: phase, victim: victim, cure: cure})
		}
	}
	return attacks, nil
}
