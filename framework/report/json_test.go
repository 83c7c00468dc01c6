package report_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/report"
)

func TestJSONRoundTrips(t *testing.T) {
	for name, r := range map[string]report.Report{"green": green(), "red": red(), "setup failed": setupFailed(), "empty": {}} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var b bytes.Buffer
			g.Expect(r.WriteJSON(&b)).To(Succeed())
			var spent struct{ Seconds map[string]map[string]float64 }
			g.Expect(json.Unmarshal(b.Bytes(), &spent)).To(Succeed())
			back, err := report.ReadJSON(&b)
			g.Expect(err).NotTo(HaveOccurred())
			r.ExitCode, _ = report.ExitCode(r)
			rows := held(r).Rows
			if r.Setup != nil {
				rows = append(rows, *r.Setup)
			}
			for _, row := range rows {
				if row.Duration > 0 {
					g.Expect(spent.Seconds[row.Phase][row.Project]).To(BeNumerically("~", row.Duration.Seconds(), 0.05))
				}
			}
			g.Expect(held(back)).To(Equal(held(r)))
		})
	}
	_, err := report.ReadJSON(strings.NewReader("{"))
	NewWithT(t).Expect(err).To(MatchError(HavePrefix("reading a report: ")))
}

// What is said of rows can be searched for line by line, and read as it was said.
func TestARowIsALineOfJSON(t *testing.T) {
	g := NewWithT(t)
	var b bytes.Buffer
	g.Expect(red().WriteJSON(&b)).To(Succeed())
	g.Expect(b.String()).To(MatchRegexp(`(?m)^    \{"phase":"upgrade","project":"glance","outcome":"failed",.*"seen":"HTTP 503 <html><b>Service Unavailable</b>",.*\},$`))
	g.Expect(b.String()).To(MatchRegexp(`(?m)^    \{"name":"upgrade\.sh",.*\},$`))
	g.Expect(b.String()).To(MatchRegexp(`(?m)^    "upgrade":\{"cloud":0\.9,"glance":121\.3,`))
}
