package report_test

import (
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/report"
)

func TestUncovered(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	span := func(from, to int) report.Timing {
		return report.Timing{Started: start.Add(time.Duration(from) * time.Second), Duration: time.Duration(to-from) * time.Second}
	}
	tests := []struct {
		name    string
		timings []report.Timing
		want    int // seconds of the ten
	}{
		{name: "nothing is known", want: 10},
		{name: "all of it", timings: []report.Timing{span(0, 10)}, want: 0},
		{name: "a gap on each side", timings: []report.Timing{span(2, 7)}, want: 5},
		{name: "overlaps count once", timings: []report.Timing{span(0, 6), span(2, 4), span(5, 9)}, want: 1},
		{name: "out of order", timings: []report.Timing{span(6, 8), span(1, 3)}, want: 6},
		{name: "without a start", timings: []report.Timing{{Duration: 8 * time.Second}}, want: 10},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := NewWithT(t)
			got := report.Uncovered(slices.Values(test.timings), start, start.Add(10*time.Second))
			g.Expect(got).To(Equal(time.Duration(test.want) * time.Second))
		})
	}
}
