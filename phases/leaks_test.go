package phases

import (
	"errors"
	"os"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/report"
	"grenade/resources"
)

// leaksOfB is the row that judges what is left in b.
func leaksOfB() Row {
	phase, _ := PhaseByID(Leaks)
	return Row{Phase: phase, Project: "b"}
}

func destroyOf(project string) Row {
	phase, _ := PhaseByID(Destroy)
	return Row{Phase: phase, Project: project}
}

// One project's resources may lie in another's service.
func TestLeaksAreNotJudgedBeforeAllIsDestroyed(t *testing.T) {
	g := NewWithT(t)
	run := ordered(t, "a", "b")
	run.Ledger.Note(destroyOf("b"), report.Passed)
	g.Expect(run.notChecked(leaksOfB())).To(Equal("a has not been destroyed"))
	run.Ledger.Note(destroyOf("a"), report.Failed)
	g.Expect(run.notChecked(leaksOfB())).To(BeEmpty(), "what a destroy that failed leaves is judged")
	g.Expect(run.destroyFailed()).To(BeTrue(), "and not waited for")
}

func TestWhatIsKeptIsNoLeak(t *testing.T) {
	g := NewWithT(t)
	run := ordered(t, "a", "b")
	run.Config.Keep = config.KeepOnFailure
	phase, _ := PhaseByID(Create)
	run.Ledger.Note(Row{Phase: phase, Project: "a"}, report.Failed)
	run.Ledger.Note(destroyOf("b"), report.Passed)
	run.Ledger.Note(destroyOf("a"), report.NotChecked)
	g.Expect(run.notChecked(leaksOfB())).To(Equal("kept: KEEP=on-failure"))

	// A plugin that has nothing to destroy is no reason to look away.
	run.Config.Keep = config.KeepNever
	g.Expect(run.notChecked(leaksOfB())).To(BeEmpty())
}

func TestWithoutAnInventoryNothingIsSaidOfLeaks(t *testing.T) {
	g := NewWithT(t)
	run := ordered(t, "a")
	var nothing *resources.NotChecked
	_, err := run.heldBefore("a")
	g.Expect(errors.As(err, &nothing)).To(BeTrue())
	g.Expect(nothing.Reason).To(ContainSubstring("before create"))

	g.Expect(os.WriteFile(run.inventoryPath(), []byte(`{"b": {"port": {"1": "x"}}}`), 0o600)).To(Succeed())
	_, err = run.heldBefore("a")
	g.Expect(errors.As(err, &nothing)).To(BeTrue())
	g.Expect(nothing.Reason).To(ContainSubstring("what a holds is not known"))
	held, err := run.heldBefore("b")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(held).To(HaveKey("port"))

	g.Expect(os.WriteFile(run.inventoryPath(), []byte(`{"b": `), 0o600)).To(Succeed())
	_, err = run.heldBefore("b")
	g.Expect(err).To(MatchError(ContainSubstring("inventory")))
}
