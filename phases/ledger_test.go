package phases_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/report"
	"grenade/phases"
)

func row(phaseID, project string) phases.Row {
	phase, known := phases.PhaseByID(phaseID)
	if !known {
		panic("no phase " + phaseID)
	}
	return phases.Row{Phase: phase, Project: project}
}

func TestGate(t *testing.T) {
	type note struct {
		phase, project string
		outcome        report.Outcome
	}
	tests := []struct {
		name   string
		notes  []note
		row    phases.Row
		reason string // "" means open
	}{
		{name: "nothing failed", row: row("upgrade", "glance")},
		{
			name:  "a project that failed is blocked later",
			notes: []note{{"create", "glance", report.Failed}}, row: row("upgrade", "glance"),
			reason: "glance failed at create",
		},
		{
			name:  "another project's failed check blocks nobody else",
			notes: []note{{"verify-pre-upgrade", "keystone", report.Failed}}, row: row("upgrade", "glance"),
		},
		{
			name:  "a failed shutdown blocks those that require the project",
			notes: []note{{"shutdown", "keystone", report.Failed}}, row: row("snapshot", "glance"),
			reason: "glance requires keystone, which failed at shutdown",
		},
		{
			name:  "a failed upgrade blocks the upgrade of those that require the project",
			notes: []note{{"upgrade", "keystone", report.Failed}}, row: row("upgrade", "glance"),
			reason: "glance requires keystone, which failed at upgrade",
		},
		{
			name:  "a failed upgrade blocks nobody who does not require the project",
			notes: []note{{"upgrade", "glance", report.Failed}}, row: row("verify-post-upgrade", "placement"),
		},
		{
			name:  "the cloud's failure blocks everybody",
			notes: []note{{"upgrade", "cloud", report.Failed}}, row: row("verify-post-upgrade", "glance"),
			reason: "the cloud failed at upgrade",
		},
		{
			name:  "the cloud's failure blocks the cloud's later rows",
			notes: []note{{"shutdown", "cloud", report.Failed}}, row: row("upgrade", "cloud"),
			reason: "the cloud failed at shutdown",
		},
		{
			name:  "a failed cloud row may be tried again",
			notes: []note{{"upgrade", "cloud", report.Failed}}, row: row("upgrade", "cloud"),
		},
		{
			name:  "destroy is tried anyway",
			notes: []note{{"upgrade", "cloud", report.Failed}, {"create", "glance", report.Failed}}, row: row("destroy", "glance"),
		},
		{
			name:  "what is not checked blocks nothing",
			notes: []note{{"create", "glance", report.NotChecked}}, row: row("upgrade", "glance"),
		},
		{
			name:  "a row that failed may be tried again",
			notes: []note{{"upgrade", "glance", report.Failed}}, row: row("upgrade", "glance"),
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := NewWithT(t)
			ledger := phases.NewLedger(needKeystone)
			for _, note := range test.notes {
				ledger.Note(row(note.phase, note.project), note.outcome)
			}
			open, reason := ledger.Gate(test.row)
			g.Expect(reason).To(Equal(test.reason))
			g.Expect(open).To(Equal(test.reason == ""))
		})
	}
}

func TestLedgerReplaysTheJournalAndForgetsWhatDidNotEnd(t *testing.T) {
	g := NewWithT(t)
	ledger := phases.NewLedger(needKeystone)
	ledger.Replay([]phases.Event{
		{Kind: phases.EventRun, State: phases.StateStarted},
		{Kind: phases.EventRow, Phase: "create", Project: "glance", State: phases.StateStarted},
		{Kind: phases.EventRow, Phase: "create", Project: "glance", State: string(report.Passed)},
		{Kind: phases.EventRow, Phase: "upgrade", Project: "glance", State: string(report.Passed)},
		{Kind: phases.EventRow, Phase: "upgrade", Project: "glance", State: phases.StateStarted},
	})
	g.Expect(ledger.Passed("create", "glance")).To(BeTrue())
	_, known := ledger.Outcome("upgrade", "glance")
	g.Expect(known).To(BeFalse(), "the row was started again and nothing is known of its end")
}

func TestTheLedgerIsRedAsLongAsARowHasFailed(t *testing.T) {
	g := NewWithT(t)
	ledger := phases.NewLedger(func(projects []string) ([]string, error) { return projects, nil })
	a, b := row(phases.Create, "a"), row(phases.Create, "b")
	g.Expect(ledger.Red()).To(BeFalse())
	ledger.Note(a, report.Failed)
	ledger.Note(a, report.Failed)
	ledger.Note(b, report.Failed)
	ledger.Note(b, report.Passed)
	g.Expect(ledger.Red()).To(BeTrue())
	// One that was run again, and did not end, is forgotten.
	ledger.Replay([]phases.Event{{Kind: phases.EventRow, Phase: phases.Create, Project: "a", State: phases.StateStarted}})
	g.Expect(ledger.Red()).To(BeFalse())
}
