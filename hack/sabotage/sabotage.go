package main

import (
	"context"
	"fmt"
	"time"

	"grenade/hack/internal/harness"
)

// catcher is what turns the run red.
type catcher string

const (
	// byProof is the proof of upgrade and shutdown: /proc and package versions.
	byProof catcher = "proof"
	// byChecks are the checks of resources/, native or shelled.
	byChecks catcher = "checks"
	// byLeaks is what is there after destroy and was not before create.
	byLeaks catcher = "leaks"
	// byLimit is the limit of a script.
	byLimit catcher = "limit"
)

// sabotage breaks one thing from outside, without the suite's knowledge.
type sabotage struct {
	name string
	// on is the cloud that it needs.
	on stage
	// expected is the row that must be the first to fail.
	expected harness.Row
	catcher  catcher
	// shelled tells, where checks are the catcher, that the plugin's resources.sh
	// sees it as well as the native check.
	shelled bool
	// when accepts the journal's event at which the suite is stopped and act is
	// called.
	when func(harness.Event) bool
	// act breaks it and says what it did. Finding nothing to break is an error.
	act func(context.Context, scene) (string, error)
	// shown is text that the failed row's output in junit.xml must hold; "" when
	// any output will do.
	shown string
	// after makes further checks on the ended run; nil for none.
	after func(context.Context, scene, harness.Verdict) error
}

// scene is where a sabotage acts.
type scene struct {
	site   harness.Site
	run    *harness.Run
	id     string
	inside harness.Inside
}

// scriptTimeout is SCRIPT_TIMEOUT of every run here, the green one included: above
// what any script takes, and short enough to wait for.
const scriptTimeout = 3 * time.Minute

// the phases that sabotages name.
const (
	create           = "create"
	shutdown         = "shutdown"
	verifyNoAPI      = "verify_noapi-pre-upgrade"
	upgrade          = "upgrade"
	verifyPost       = "verify-post-upgrade"
	destroy          = "destroy"
	leaks            = "leaks"
	keystone, glance = "keystone", "glance"
	placement        = "placement"
	swift, neutron   = "swift", "neutron"
	nova, cinder     = "nova", "cinder"
	designate        = "designate"
	barbican         = "barbican"
	passed           = "passed"
)

// started accepts the first event of the phase.
func started(phase string) func(harness.Event) bool {
	return func(e harness.Event) bool {
		return e.Kind == harness.KindRow && e.Phase == phase && e.State == harness.Started
	}
}

// reached accepts the event of the row with the state.
func reached(phase, project, state string) func(harness.Event) bool {
	return func(e harness.Event) bool {
		return e.Kind == harness.KindRow && e.Phase == phase && e.Project == project && e.State == state
	}
}

// sabotages lists them all, in the order in which they are tried.
func sabotages() []sabotage {
	return []sabotage{
		upgradeThatDoesNothing(),
		serviceLeftRunning(),
		truncatedImage(),
		deletedRow(),
		hangingScript(),
		replacedKeys(),
		corruptedObject(),
		removedFloatingIP(),
		deletedRouterNamespace(),
		leakedPort(),
		killedGuest(),
		rebootedGuest(),
		computeLeftAtBase(),
		migrationsNotRun(),
		droppedExtraSpec(),
		changedVolume(),
		removedZone(),
		deletedSecret(),
	}
}

// trigger describes what is waited for, for messages.
func (s sabotage) trigger() string { return fmt.Sprintf("the moment for %q", s.name) }
