package phases

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"grenade/framework/config"
	"grenade/framework/probe"
	"grenade/framework/report"
	"grenade/plugins"
	"grenade/resources"
)

// Run is one execution of the upgrade: what the phases work on and what they
// learn. Its methods are called by one spec at a time, but for the rows of
// read-only phases, which Do itself runs side by side.
type Run struct {
	ID        string
	Config    *config.Config
	Plan      Plan
	Selection Selection
	Ledger    *Ledger

	// cloud is the cloud under test; it is one of the two, and the other is nil.
	cloud   Cloud
	trees   WithTrees
	foreign Foreign
	// dumps are of the target tree's functions; nil without trees.
	dumps *plugins.Dumps

	checks   NativeChecks
	journal  *Journal
	log      Logger
	redact   func(string) string
	progress *report.Progress
	settings plugins.Settings
	fetched  []plugins.Fetched
	memory   func() int64
	started  time.Time

	// sideBySide are the rows of read-only phases, by phase: they run together as soon
	// as the first of them is asked for.
	sideBySide map[string]*batch

	// turn says which rows are selected, and in ordered phases which have been settled.
	turn byRow[turn]

	// witnesses are the addresses under watch, by project.
	witnesses map[string][]witness

	mu sync.Mutex
	// savedAt is when the report was written last, saveTook how long that took.
	savedAt  time.Time
	saveTook time.Duration
	// writing has room for one: who writes the report's files. unwritten is the newest
	// report of the run so far, for whoever writes that.
	writing   chan struct{}
	unwritten *report.Report
	rows      byRow[came]
	// unrecorded holds what a one-phase selection asked for in vain.
	unrecorded map[Key]report.Row
	setup      *report.Row
	notes      []string
	spent      []spent
	evidence   Evidence
	continuity []heard
	// tests are what Tempest's tests came to, by row.
	tests       map[Key][]report.Test
	interrupted string
	earlier     *report.Report
}

// NativeChecks makes the checks that talk to the cloud's APIs, by project.
type NativeChecks func(cloud resources.Cloud) map[string]resources.Check

// Logger gives the run's log as a phase and project see it.
type Logger interface {
	For(phase, project string) *logrus.Entry
}

// Evidence is what the run saw of the processes, by project.
type Evidence map[string]*ProjectEvidence

// ProjectEvidence is what ran for one project before shutdown and after the
// upgrade.
type ProjectEvidence struct {
	Before []ProcessEvidence `json:"before,omitempty"`
	After  []ProcessEvidence `json:"after,omitempty"`
	// Helpers are the data plane's programs that its units had started before
	// shutdown.
	Helpers []probe.Process `json:"helpers,omitempty"`
	// Version is what the operator of a Foreign cloud said before shutdown.
	Version string `json:"version,omitempty"`
}

// ProcessEvidence is one process of a unit, and the version of the package
// that it runs; or why that cannot be told.
type ProcessEvidence struct {
	probe.Process
	Package string `json:"package"`
	Version string `json:"version"`
	Unknown string `json:"unknown,omitempty"`
}

// Options is what a run is made of.
type Options struct {
	ID        string
	Config    *config.Config
	Plan      Plan
	Selection Selection
	// Trees or Foreign is the cloud under test.
	Trees   WithTrees
	Foreign Foreign
	Checks  NativeChecks
	Log     Logger
	// Redact hides secrets in whatever is published.
	Redact   func(string) string
	Progress *report.Progress
	// PeakMemory is what the machine has used at most beyond what was in use
	// when the run began, in bytes.
	PeakMemory func() int64
	// Fetched are the plugins of other repositories.
	Fetched []plugins.Fetched
}

// New returns a run that has not begun.
func New(options Options) *Run {
	turns := byRow[turn]{}
	for _, row := range options.Selection.Rows {
		turns.put(row.Key(), waiting)
	}
	run := &Run{
		ID:         options.ID,
		Config:     options.Config,
		Plan:       options.Plan,
		Selection:  options.Selection,
		checks:     options.Checks,
		log:        options.Log,
		redact:     options.Redact,
		progress:   options.Progress,
		started:    time.Now(),
		memory:     options.PeakMemory,
		fetched:    options.Fetched,
		sideBySide: map[string]*batch{},
		turn:       turns,
		rows:       byRow[came]{},
		unrecorded: map[Key]report.Row{},
		evidence:   Evidence{},
		witnesses:  map[string][]witness{},
		tests:      map[Key][]report.Test{},
		writing:    make(chan struct{}, 1),
	}
	run.use(options.Trees, options.Foreign)
	return run
}

// use has the run be about one of the two.
func (r *Run) use(trees WithTrees, foreign Foreign) {
	r.trees, r.foreign = trees, foreign
	if r.cloud = foreign; foreign == nil {
		r.cloud = trees
	}
	if trees != nil {
		r.dumps = plugins.NewDumps(r.Config.SaveDir, trees.TreeDir(config.Target), func(path string) string {
			return trees.Node().HostPath(path)
		})
	}
	r.Ledger = NewLedger(r.cloud.Requires)
}

// ResultsDir is where the run's results go.
func (r *Run) ResultsDir() string { return filepath.Join(r.Config.ResultsDir, r.ID) }

// LogFile is the file that holds what the row's scripts print.
func (r *Run) LogFile(phase, project string) string {
	return filepath.Join(r.ResultsDir(), logInResults(phase, project))
}

// logInResults is the same as the report names it.
func logInResults(phase, project string) string { return filepath.Join("logs", phase, project+".log") }

// GrenadeDir is GRENADE_DIR: the shell that scripts source, and the in-tree
// plugins.
func (r *Run) GrenadeDir() string { return GrenadeDir(r.Config) }

// GrenadeDir is where a run with these settings has its GRENADE_DIR.
func GrenadeDir(settings *config.Config) string { return filepath.Join(settings.SaveDir, "grenade") }

// act does what the row's phase does. It returns *resources.NotChecked when
// there was nothing to do.
func (r *Run) act(ctx context.Context, row Row) error {
	switch row.Phase.ID {
	case VerifyBase:
		return r.verifyBase(ctx, row)
	case EarlyCreate, Create:
		return r.create(ctx, row)
	case VerifyPreUpgrade, VerifyPostUpgrade:
		return r.verify(ctx, row)
	case Shutdown:
		return r.shutdown(ctx, row)
	case Snapshot:
		return r.snapshot(ctx, row)
	case VerifyNoAPI:
		return r.verifyNoAPI(ctx, row)
	case UpgradePhase:
		return r.upgrade(ctx, row)
	case VerifyTarget:
		return r.verifyTarget(ctx, row)
	case Destroy:
		return r.check(ctx, row)
	case Leaks:
		return r.leaks(ctx, row)
	default:
		return fmt.Errorf("phase %s has no action", row.Phase.ID)
	}
}
