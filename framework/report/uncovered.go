package report

import (
	"slices"
	"time"
)

// covered is how much time the spans cover; where they overlap, it counts once.
func covered(spans []Timing) time.Duration {
	var from, to time.Time
	for _, span := range spans {
		if span.Started.IsZero() {
			continue
		}
		if end := span.Started.Add(span.Duration); end.After(to) {
			to = end
		}
		if from.IsZero() || span.Started.Before(from) {
			from = span.Started
		}
	}
	return to.Sub(from) - Uncovered(spans, from, to)
}

// Uncovered is how much of the time between from and to belongs to none of the
// timings: what the harness itself took. Timings that overlap count once, and
// one without a start not at all.
func Uncovered(timings []Timing, from, to time.Time) time.Duration {
	spans := slices.DeleteFunc(slices.Clone(timings), func(timing Timing) bool { return timing.Started.IsZero() })
	slices.SortFunc(spans, func(a, b Timing) int { return a.Started.Compare(b.Started) })
	uncovered, reached := time.Duration(0), from
	for _, span := range spans {
		if span.Started.After(reached) {
			uncovered += span.Started.Sub(reached)
		}
		if end := span.Started.Add(span.Duration); end.After(reached) {
			reached = end
		}
	}
	if to.After(reached) {
		uncovered += to.Sub(reached)
	}
	return uncovered
}
