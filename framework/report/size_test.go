package report_test

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/report"
)

// sized is a green report of so many projects.
func sized(projects int) report.Report {
	r := report.Report{RunID: "sized", Started: time.Unix(0, 0), Finished: time.Unix(3600, 0)}
	var rows []report.Row
	var timings []report.Timing
	for phase := range 10 {
		for project := range projects {
			row := report.Row{Phase: fmt.Sprintf("phase%d", phase), Project: fmt.Sprintf("p%d", project), Outcome: report.Passed, Duration: time.Second}
			rows = append(rows, row)
			timings = append(timings, report.Timing{Name: "resources.sh", Kind: report.Script, Phase: row.Phase, Project: row.Project, Duration: time.Second})
		}
	}
	r.Rows, r.Timings = slices.Values(rows), slices.Values(timings)
	return r
}

func TestTimeOfAFormGrowsWithItsRows(t *testing.T) {
	forms := map[string]func(report.Report) error{
		"JSON":    func(r report.Report) error { return r.WriteJSON(io.Discard) },
		"JUnit":   func(r report.Report) error { return r.WriteJUnit(io.Discard, t.TempDir()) },
		"HTML":    func(r report.Report) error { return r.WriteHTML(io.Discard) },
		"summary": func(r report.Report) error { _, err := io.WriteString(io.Discard, r.Summary()); return err },
	}
	for name, write := range forms {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			best := func(projects int) time.Duration {
				r, least := sized(projects), time.Hour
				for range 3 {
					began := time.Now()
					g.Expect(write(r)).To(Succeed())
					least = min(least, time.Since(began))
				}
				return least
			}
			// Twenty times as many rows: with their square it were four hundred.
			g.Expect(best(1000)).To(BeNumerically("<", 100*best(50)))
		})
	}
}

// widest is the largest piece that was written.
type widest int

func (w *widest) Write(text []byte) (int, error) {
	*w = max(*w, widest(len(text)))
	return len(text), nil
}

func TestNoFormIsMadeInMemoryAsAWhole(t *testing.T) {
	g := NewWithT(t)
	r := sized(200)
	var w widest
	g.Expect(r.WriteJSON(&w)).To(Succeed())
	g.Expect(r.WriteJUnit(&w, t.TempDir())).To(Succeed())
	g.Expect(r.WriteHTML(&w)).To(Succeed())
	g.Expect(w).To(BeNumerically("<", 64<<10), "of some hundred kB")
}
