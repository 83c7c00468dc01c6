package suite_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"

	"grenade/framework/report"
	"grenade/phases"
)

// describe lays out the upgrade in the seed's calling sequence: one Context
// per phase, in it one It per project, and one named cloud where the phase has
// work that belongs to no project.
func (s *suite) describe(ctx context.Context) {
	BeforeSuite(func(SpecContext) { s.setup(ctx) }, GracePeriod(s.rowLimit()))

	Describe("Upgrade", Ordered, ContinueOnFailure, func() {
		s.phase(ctx, phases.VerifyBase, "each project's API answers, from the base release's code")

		s.phase(ctx, phases.EarlyCreate, "resources that other projects' resources need")
		s.phase(ctx, phases.Create, "resources that must survive")
		s.phase(ctx, phases.VerifyPreUpgrade, "they are there")

		s.phase(ctx, phases.Shutdown, "no control-plane process is left")
		s.phase(ctx, phases.Snapshot, "databases and configuration are saved")
		s.phase(ctx, phases.VerifyNoAPI, "what runs beneath the APIs runs on without them")

		s.phase(ctx, phases.UpgradePhase, "the target release's code is what runs")
		s.phase(ctx, phases.VerifyPostUpgrade, "every resource survived, unchanged")
		s.phase(ctx, phases.VerifyTarget, "each project's API answers, from the target release's code")

		s.phase(ctx, phases.Destroy, "everything that was made is gone")
		s.phase(ctx, phases.Leaks, "nothing is there that was not there before")
	})

	ReportAfterSuite("results", s.finish)
}

// phase holds one phase's rows; promise is what holds when they pass.
func (s *suite) phase(ctx context.Context, id, promise string) {
	Context(id+": "+promise, func() {
		for _, row := range s.run.Plan.Of(id) {
			It(s.title(row), Label(row.Labels()...), GracePeriod(s.rowLimit()), func(SpecContext) {
				s.row(ctx, row)
			})
		}
	})
}

// row runs one row and turns its outcome into Ginkgo's.
func (s *suite) row(ctx context.Context, row phases.Row) {
	GinkgoHelper()
	settled := s.run.Do(ctx, row)
	switch settled.Outcome {
	case report.Passed:
	case report.Failed:
		Fail(s.run.Screen(settled))
	default:
		Skip(string(settled.Outcome) + ": " + settled.Reason)
	}
}

// setup builds the base cloud, or connects to the one that is there.
func (s *suite) setup(ctx context.Context) {
	DeferCleanup(s.cleanUp, NodeTimeout(cleanUpBudget))
	settled, err := s.run.Setup(ctx)
	if s.setupError = err; err != nil {
		Fail(s.run.Screen(settled))
	}
}
