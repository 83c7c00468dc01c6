package phases

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/report"
)

func TestWhatCameOfARowIsRecalledWhole(t *testing.T) {
	began := time.Now()
	for name, settled := range map[string]report.Row{
		"passed":            {Outcome: report.Passed, Started: began, Duration: time.Second, Log: "logs/create/glance.log"},
		"not checked":       {Outcome: report.NotChecked, Reason: "upgrade.sh is missing", Started: began},
		"never begun":       {Outcome: report.NotRun, Reason: "interrupted"},
		"failed":            {Outcome: report.Failed, Started: began, Log: "logs/create/glance.log", Failure: &report.Failure{Message: "no answer"}},
		"failed for others": {Outcome: report.Failed, Consequence: true},
		"with tests":        {Outcome: report.Passed, Tests: []report.Test{{Name: "one"}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			run, row := &Run{started: began.Add(-time.Minute), rows: byRow[came]{}}, Key{Create, "glance"}
			_, done := run.recall(row)
			g.Expect(done).To(BeFalse())
			settled.Phase, settled.Project = row.Phase, row.Project
			run.retain(row, settled)
			recalled, done := run.recall(row)
			g.Expect(done).To(BeTrue())
			g.Expect(recalled).To(Equal(settled))
			_, done = run.recall(Key{Create, "nova"})
			g.Expect(done).To(BeFalse())
		})
	}
}
