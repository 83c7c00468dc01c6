package phases

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/report"
	"grenade/plugins"
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

// What a run knows of its rows decides how much memory one of very many plugins takes.
func TestARowTakesLittleMemory(t *testing.T) {
	g := NewWithT(t)
	found := make([]plugins.Plugin, 1000)
	for i := range found {
		found[i].Project = fmt.Sprintf("project%d", i)
	}
	before := live()
	plan := NewPlan(found)
	selection, err := plan.Select("", func([]string) bool { return true }, Dependencies{
		Requires:      func(projects []string) ([]string, error) { return projects, nil },
		UpgradesAfter: func(string) ([]string, error) { return nil, nil },
	})
	g.Expect(err).NotTo(HaveOccurred())
	run := New(Options{Config: &config.Config{}, Plan: plan, Selection: selection, Trees: localCloud{root: t.TempDir()}})
	for _, row := range selection.Rows {
		settled := report.Row{Phase: row.Phase.ID, Project: row.Project, Outcome: report.NotChecked, Started: time.Now(), Log: logInResults(row.Phase.ID, row.Project)}
		settled.Reason = fmt.Sprintf("%s is %s", "upgrade.sh", "missing")
		run.Ledger.Note(row, settled.Outcome)
		run.retain(row.Key(), settled)
		run.took(row, report.Script, "resources.sh", settled.Started)
	}
	g.Expect((live()-before)/uint64(len(plan.Rows))).To(BeNumerically("<", 250), "bytes")
	runtime.KeepAlive(run)
}

// live is how many bytes are in use.
func live() uint64 {
	var memory runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first left to be swept
	runtime.ReadMemStats(&memory)
	return memory.HeapAlloc
}

// countedCloud counts how often it is asked for its times.
type countedCloud struct {
	localCloud
	asked int
}

func (c *countedCloud) Timings() []report.Timing {
	c.asked++
	return []report.Timing{{Name: "stack.sh", Kind: report.StackSh}}
}

// It is written beside the rows, which work with the cloud meanwhile.
func TestWhoWritesAReportDoesNotAskTheCloud(t *testing.T) {
	g := NewWithT(t)
	run := ordered(t, "a")
	cloud := &countedCloud{localCloud: localCloud{root: run.Config.StackRoot}}
	run.use(cloud, nil)
	run.took(Row{Phase: phaseOf(t, Create), Project: "a"}, report.Script, "resources.sh", time.Now())
	made := run.Report(t.Context())
	asked := cloud.asked
	var names []string
	for timing := range made.Timings {
		names = append(names, timing.Name)
	}
	g.Expect(names).To(Equal([]string{"stack.sh", "resources.sh", "the harness itself"}))
	g.Expect(cloud.asked).To(Equal(asked))
}
