package report_test

import (
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/report"
)

func TestMergePutsAPhaseIntoAnEarlierRun(t *testing.T) {
	g := NewWithT(t)
	earlier := red()
	earlier.ExitCode = report.Red
	later := report.Report{
		RunID: earlier.RunID, Started: begin().Add(time.Hour), Finished: begin().Add(time.Hour + time.Minute),
		Rows: slices.Values([]report.Row{
			row("upgrade", "glance", time.Second, begin()), row("verify post-upgrade", "glance", time.Second, begin()),
			row("verify_target", "glance", time.Second, begin()), row("destroy", "glance", time.Second, begin()),
			row("upgrade", "cinder", time.Second, begin()), row("restore", "glance", time.Second, begin()),
		}),
		Target:   report.Side{Release: "2025.1", Branch: "stable/2025.1", Suite: "trixie", Packages: map[string]string{"glance-api": "2:30.0.1-1"}},
		Notes:    append([]string{"new"}, earlier.Notes...),
		Timings:  slices.Values([]report.Timing{{Name: "upgrade.sh", Kind: report.Script, Phase: "upgrade", Project: "glance", Duration: time.Second}}),
		Evidence: []report.Evidence{{Project: "glance", Unit: "glance-api.service", Upgraded: true, After: []report.Process{{PID: 7}}}},
	}
	before := red()
	merged := report.Merge(earlier, later)
	earlier.ExitCode = 0
	g.Expect(held(earlier)).To(Equal(held(before)), "the earlier report is not touched")

	g.Expect(held(merged).Rows).To(HaveLen(len(held(before).Rows) + 2))
	code, _ := report.ExitCode(merged)
	g.Expect(code).To(Equal(report.Green))
	g.Expect(merged.ExitCode).To(Equal(report.Green))
	g.Expect(merged.Started).To(Equal(before.Started))
	g.Expect(merged.Finished).To(Equal(later.Finished))
	g.Expect(merged.Notes).To(Equal(append(before.Notes, "new")))
	g.Expect(merged.Base).To(Equal(before.Base))
	g.Expect(merged.Target.Packages).To(And(HaveKeyWithValue("glance-api", "2:30.0.1-1"), HaveKeyWithValue("keystone", "2:27.0.0-3")))
	g.Expect(merged.Evidence[1].Upgraded).To(BeTrue())
	g.Expect(merged.Evidence[1].Before).To(Equal(before.Evidence[1].Before), "what was seen before the upgrade stays")
	var places []string
	for row := range merged.Rows {
		if row.Phase == "upgrade" || row.Phase == "restore" {
			places = append(places, row.Name())
		}
	}
	g.Expect(places).To(Equal([]string{"upgrade/cloud", "upgrade/keystone", "upgrade/placement", "upgrade/glance", "upgrade/cinder", "restore/glance"}))
	scripts := 0
	for timing := range merged.Timings {
		if timing.Kind == report.Script {
			scripts++
			g.Expect(timing.Duration).To(Equal(time.Second))
		}
	}
	g.Expect(scripts).To(Equal(1), "times of what was run again are replaced")
}

func TestMergeKeepsAFailureThatWasNotRunAgain(t *testing.T) {
	g := NewWithT(t)
	later := report.Report{Rows: slices.Values([]report.Row{row("create", "glance", time.Second, begin())})}
	g.Expect(report.Merge(red(), later).ExitCode).To(Equal(report.Red))
	later.ExitCode = report.Interrupted
	g.Expect(report.Merge(green(), later).ExitCode).To(Equal(report.Interrupted))
	interrupted := green()
	interrupted.ExitCode = report.Interrupted
	later.ExitCode = 0
	g.Expect(report.Merge(interrupted, later).ExitCode).To(Equal(report.Green), "the earlier interrupt is over")
}
