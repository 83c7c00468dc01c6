package harness_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/hack/internal/fakerun"
	"grenade/hack/internal/harness"
)

func rowStarted(phase string) func(harness.Event) bool {
	return func(e harness.Event) bool {
		return e.Kind == harness.KindRow && e.Phase == phase && e.State == harness.Started
	}
}

func start(t *testing.T, site harness.Site) *harness.Run {
	t.Helper()
	run, err := site.Start(t.Context(), "run", nil)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { NewWithT(t).Expect(run.End(context.Background())).To(Succeed()) })
	return run
}

func TestAWholeRunIsFollowedToItsEnd(t *testing.T) {
	g := NewWithT(t)
	run := start(t, fakerun.New(t))
	g.Expect(run.Wait(t.Context())).To(Equal(0))
	g.Expect(run.Phases()).To(Equal(fakerun.Phases()))
	begin, err := run.Begin()
	g.Expect(err).NotTo(HaveOccurred())
	verdict, err := harness.ReadVerdict(begin.Results)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(verdict.Plan()).To(HaveLen(3 * len(fakerun.Phases())))
}

func TestTheRunsProcessesAreFoundAndItsNodeIsReached(t *testing.T) {
	g := NewWithT(t)
	run := start(t, fakerun.New(t))
	_, err := run.Until(t.Context(), "upgrade", rowStarted("upgrade"))
	g.Expect(err).NotTo(HaveOccurred())
	suite, err := run.Suite()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(suite.Comm).To(Equal("suite.test"))
	cli, err := run.CLI()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(suite.Parent).To(Equal(cli.PID))
	begin, err := run.Begin()
	g.Expect(err).NotTo(HaveOccurred())
	_, err = harness.FindInside(begin.Run)
	g.Expect(err).NotTo(HaveOccurred())
	_, err = harness.FindInside("another run")
	g.Expect(err).To(MatchError(ContainSubstring("has no node")))
}

func TestWaitingForWhatNeverComesNamesTheLastEvent(t *testing.T) {
	g := NewWithT(t)
	run := start(t, fakerun.New(t))
	_, err := run.Until(t.Context(), "the moon", rowStarted("moon"))
	g.Expect(err).To(MatchError(harness.ErrEnded))
	g.Expect(err).To(MatchError(ContainSubstring("waiting for the moon")))
	g.Expect(err).To(MatchError(ContainSubstring("destroy/glance passed")))
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	g := NewWithT(t)
	run := start(t, fakerun.New(t))
	patience := errors.New("patience is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(patience)
	_, err := run.Until(ctx, "the moon", rowStarted("moon"))
	g.Expect(err).To(MatchError(patience))
}

func TestAJournalThatNamesAStrangerIsNotBelieved(t *testing.T) {
	g := NewWithT(t)
	site := fakerun.New(t)
	run := start(t, site)
	_, err := run.Until(t.Context(), "create", rowStarted("create"))
	g.Expect(err).NotTo(HaveOccurred())
	// The kill must never hit a process that we did not start.
	other := start(t, strangersJournal(t, site))
	_, err = other.Until(t.Context(), "create", rowStarted("create"))
	g.Expect(err).NotTo(HaveOccurred())
	_, err = other.Suite()
	g.Expect(err).To(MatchError(ContainSubstring("not the suite that we started")))
}

// strangersJournal is a site whose hack/upgrade writes the test's own pid into the
// journal and does nothing else.
func strangersJournal(t *testing.T, site harness.Site) harness.Site {
	t.Helper()
	g := NewWithT(t)
	dir := t.TempDir()
	script := `#!/usr/bin/env bash
mkdir -p "` + dir + `/save"
echo '{"event":"run","state":"started","pid":'$PPID'}' >"` + dir + `/save/run.jsonl"
echo '{"event":"row","phase":"create","state":"started"}' >>"` + dir + `/save/run.jsonl"
sleep 1
`
	g.Expect(os.MkdirAll(filepath.Join(dir, "hack"), 0o755)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(dir, "hack", "upgrade"), []byte(script), 0o755)).To(Succeed())
	site.Checkout, site.SaveDir = dir, filepath.Join(dir, "save")
	return site
}

func TestAKilledSuiteEndsTheRunWithoutVerdict(t *testing.T) {
	g := NewWithT(t)
	run := start(t, fakerun.New(t))
	_, err := run.Until(t.Context(), "create", rowStarted("create"))
	g.Expect(err).NotTo(HaveOccurred())
	suite, err := run.Suite()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(suite.Signal(syscall.SIGKILL)).To(Succeed())
	g.Expect(run.Wait(t.Context())).To(Equal(3))
	g.Expect(suite.Alive()).To(BeFalse())
}

func TestARunThatDoesNotEndIsKilled(t *testing.T) {
	g := NewWithT(t)
	site := strangersJournal(t, fakerun.New(t))
	g.Expect(os.WriteFile(filepath.Join(site.Checkout, "hack", "upgrade"),
		[]byte("#!/usr/bin/env bash\ntrap '' TERM\ntouch "+site.Checkout+"/ready\nsleep 300 &\nwait\n"), 0o755)).To(Succeed())
	run, err := site.Start(t.Context(), "stubborn", nil)
	g.Expect(err).NotTo(HaveOccurred())
	ready := filepath.Join(site.Checkout, "ready")
	g.Eventually(func() string { return ready }).Should(BeAnExistingFile())
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	g.Expect(run.Terminate(ctx)).To(MatchError(context.DeadlineExceeded))
	g.Eventually(run.Ended).Should(BeTrue())
}
