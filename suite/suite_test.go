package suite_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/formatter"
	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/log"
	"grenade/framework/report"
	"grenade/phases"
	"grenade/plugins"
)

// suite is what the specs share.
type suite struct {
	run        *phases.Run
	config     *config.Config
	dryRun     bool
	setupError error
	exit       *exitCode
	signals    *signals
	log        *log.Log
	progress   *report.Progress
	// fetched are the plugins of other repositories.
	fetched []plugins.Fetched
	// releaseHost lets another run have STACK_ROOT.
	releaseHost func() error
}

// cleanUpBudget bounds what a run that ends before its time still does.
const cleanUpBudget = 5 * time.Minute

// TestUpgrade is the suite's only entry. It decides what there is to run
// before Ginkgo builds its tree: the plan, and what the user's label filter
// makes of it.
func TestUpgrade(t *testing.T) {
	// Only go test gives its tests this flag.
	if byGoTest := flag.Lookup("test.paniconexit0"); byGoTest != nil && byGoTest.Value.String() == "true" {
		t.Fatal("nothing was run: a run is started by ginkgo run ./suite, or hack/upgrade: go test kills what has not ended after ten minutes, an upgrade half-way")
	}
	// ctx ends when the run must: at a signal to terminate, at the suite's
	// timeout, or when the process that started it dies. The first SIGINT does
	// not end it, so that the row in progress finishes.
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)

	suiteConfig, reporterConfig := GinkgoConfiguration()
	s := &suite{dryRun: suiteConfig.DryRun, exit: newExitCode(os.Getenv("GRENADE_EXIT_FILE"))}
	if err := s.prepare(ctx, suiteConfig); err != nil {
		fmt.Fprintln(os.Stderr, err)
		s.exit.end(codeOf(err, report.Environment), "nothing was run")
		t.FailNow()
	}
	defer s.close()

	RegisterFailHandler(Fail)
	s.describe(ctx)

	suiteConfig.LabelFilter = s.run.Selection.LabelFilter()
	suiteConfig.FailOnEmpty = true
	suiteConfig.Timeout = s.config.SuiteTimeout + timeoutMargin
	reporterConfig.SilenceSkips = true
	formatter.ColorableStdOut = &withoutDots{to: os.Stdout}
	if s.dryRun {
		s.printPlan()
	} else {
		s.signals = heedSignals(stop, s.config.SuiteTimeout, s.run.Interrupt)
		defer s.signals.ignore()
	}
	RunSpecs(t, "Grenade", suiteConfig, reporterConfig)
}

// timeoutMargin lets the suite's own timeout, which knows how to clean up,
// come before Ginkgo's.
const timeoutMargin = time.Minute

// rowLimit is how long Ginkgo waits for a row that it has asked to end.
func (s *suite) rowLimit() time.Duration { return s.config.ScriptTimeout + 30*time.Second }

// printPlan shows what would run.
func (s *suite) printPlan() {
	selection := s.run.Selection
	fmt.Printf("plan: %s, %d rows; the cloud would hold %v\n", selection.Scope, len(selection.Rows), selection.Closure)
	for _, row := range selection.Rows {
		fmt.Printf("  %-26s %s\n", row.Phase.ID, s.title(row))
	}
}

// title is the row's name, and for a plugin that a dry run did not fetch, that
// nobody knows yet what it registers.
func (s *suite) title(row phases.Row) string {
	plugin, known := s.run.Plan.Plugin(row.Project)
	if !known || !plugin.NotFetched {
		return row.Project
	}
	return fmt.Sprintf("%s (not fetched yet: %s enables it, and its settings will say what it registers)", row.Project, plugin.Place())
}

// cleanUp runs when the last row is over, or when there will be no further
// one. A run that came to its end has nothing left to clean up.
func (s *suite) cleanUp(ctx SpecContext) {
	if s.signals.leaveCloud() {
		return
	}
	if err := s.run.Finish(context.WithoutCancel(ctx)); err != nil {
		Fail(err.Error())
	}
}

// finish writes the results and says where they are. Ginkgo calls it however
// the run ended, and on a dry run, too, where there is nothing to write.
func (s *suite) finish(ctx SpecContext, ginkgo Report) {
	if s.dryRun {
		s.exit.end(report.Green, "dry run: nothing was done")
		return
	}
	s.progress.Close()
	made, err := s.run.WriteResults(ctx, s.endedBy(ginkgo))
	err = errors.Join(err, giveToCaller(s.config.ResultsDir))
	fmt.Println()
	fmt.Print(made.Summary())
	s.exit.set(made.ExitCode, report.Verdict(made.ExitCode)+", results in "+s.run.ResultsDir())
	if err != nil {
		s.exit.end(report.Environment, err.Error())
		Fail(err.Error())
	}
}
