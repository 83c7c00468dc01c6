package harness

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestLedgerGoesOnWhereItStopped(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	open := func(commit string, again bool) *Ledger {
		ledger, err := OpenLedger(dir, "kill", commit, again)
		g.Expect(err).NotTo(HaveOccurred())
		return ledger
	}
	first := open("abc", false)
	g.Expect(first.Begin("one")).To(Succeed())
	g.Expect(first.Record(Result{Case: "one", Passed: true, Seconds: 90})).To(Succeed())
	g.Expect(first.Begin("two")).To(Succeed())

	second := open("abc", false)
	g.Expect(second.Has("one")).To(BeTrue())
	g.Expect(second.Has("two")).To(BeFalse())
	g.Expect(second.Current).To(Equal("two"), "the call before was killed in it")
	g.Expect(second.Slowest()).To(Equal(90 * time.Second))

	g.Expect(open("other", false).Results).To(BeEmpty(), "another commit")
	g.Expect(open("abc", true).Results).To(BeEmpty(), "told to begin anew")
	g.Expect(second.Finish()).To(Succeed())
	g.Expect(open("abc", false).Results).To(BeEmpty(), "it was finished")
}

// fakeSite is a checkout whose make clean notes that it was called.
func fakeSite(t *testing.T) (site Site, cleaned func() bool) {
	t.Helper()
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(dir, "Makefile"), []byte("clean:\n\t@touch cleaned\n"), 0o600)).To(Succeed())
	stack := filepath.Join(dir, "stack")
	site = Site{Checkout: dir, StackRoot: stack, SaveDir: filepath.Join(stack, "save"), Logs: filepath.Join(dir, "logs")}
	return site, func() bool {
		_, err := os.Stat(filepath.Join(dir, "cleaned"))
		return err == nil
	}
}

func passing(context.Context) (string, error) { return "fine", nil }

func TestCampaignStopsAtItsBudgetAndGoesOn(t *testing.T) {
	g := NewWithT(t)
	site, _ := fakeSite(t)
	dir := t.TempDir()
	campaign := func(budget time.Duration) *Campaign {
		ledger, err := OpenLedger(dir, "kill", "abc", false)
		g.Expect(err).NotTo(HaveOccurred())
		return &Campaign{Site: site, Ledger: ledger, Budget: budget, CaseLimit: time.Minute, FirstGuess: time.Minute, Out: io.Discard}
	}
	cases := []Case{{Name: "one", Do: passing}, {Name: "two", Do: passing}}
	none := campaign(time.Second)
	g.Expect(none.Run(t.Context(), cases)).To(MatchError(ErrUnfinished))
	g.Expect(none.Ledger.Results).To(BeEmpty())

	some := campaign(time.Hour)
	g.Expect(some.Run(t.Context(), cases[:1])).To(Succeed())
	some.Ledger.Finished = time.Time{}
	g.Expect(some.Ledger.Begin("two")).To(Succeed())

	rest := campaign(time.Hour)
	g.Expect(rest.Run(t.Context(), cases)).To(Succeed())
	g.Expect(rest.Ledger.Results).To(HaveLen(2))
	g.Expect(rest.Ledger.Finished).NotTo(BeZero())
}

func TestCampaignGoesOnAfterAFailureAndIsRed(t *testing.T) {
	g := NewWithT(t)
	site, cleaned := fakeSite(t)
	ledger, err := OpenLedger(t.TempDir(), "kill", "abc", false)
	g.Expect(err).NotTo(HaveOccurred())
	var out bytes.Buffer
	campaign := Campaign{Site: site, Ledger: ledger, Budget: time.Hour, CaseLimit: time.Minute, Out: &out}
	failing := func(context.Context) (string, error) { return "seen", errors.New("left behind: ve-grenade") }
	err = campaign.Run(t.Context(), []Case{{Name: "bad", Do: failing}, {Name: "good", Do: passing}})
	g.Expect(err).To(MatchError(ErrFailed))
	g.Expect(ExitCode(err)).To(Equal(ExitFailed))
	g.Expect(ledger.Results).To(HaveLen(2))
	g.Expect(cleaned()).To(BeTrue(), "the next case starts clean")
	g.Expect(out.String()).To(ContainSubstring("seen; left behind: ve-grenade"))
	out.Reset()
	g.Expect(ledger.Table(&out)).To(Succeed())
	g.Expect(out.String()).To(MatchRegexp(`(?m)^bad +FAILED .*\ngood +passed `))
}

func TestCampaignLeavesAnInterruptedCaseWithoutResult(t *testing.T) {
	g := NewWithT(t)
	site, cleaned := fakeSite(t)
	ledger, err := OpenLedger(t.TempDir(), "kill", "abc", false)
	g.Expect(err).NotTo(HaveOccurred())
	campaign := Campaign{Site: site, Ledger: ledger, Budget: time.Hour, CaseLimit: time.Minute, Out: io.Discard}
	ctx, cancel := context.WithCancel(t.Context())
	err = campaign.Run(ctx, []Case{{Name: "one", Do: func(ctx context.Context) (string, error) {
		cancel()
		return "", ctx.Err()
	}}})
	g.Expect(err).To(MatchError(context.Canceled))
	g.Expect(ledger.Has("one")).To(BeFalse())
	g.Expect(ledger.Current).To(Equal("one"))
	g.Expect(cleaned()).To(BeTrue())
}

func TestCampaignTouchesNobodysCloud(t *testing.T) {
	g := NewWithT(t)
	site, cleaned := fakeSite(t)
	g.Expect(os.MkdirAll(site.Node(), 0o700)).To(Succeed())
	ledger, err := OpenLedger(t.TempDir(), "kill", "abc", false)
	g.Expect(err).NotTo(HaveOccurred())
	campaign := Campaign{Site: site, Ledger: ledger, Out: io.Discard}
	g.Expect(campaign.Prepare(t.Context())).To(MatchError(ContainSubstring("make clean removes it")))
	g.Expect(cleaned()).To(BeFalse())

	ledger.Current = "a case that was killed"
	g.Expect(campaign.Prepare(t.Context())).To(Succeed())
	g.Expect(cleaned()).To(BeTrue())
}
