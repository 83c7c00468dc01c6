package report

import (
	"cmp"
	"iter"
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
	return to.Sub(from) - Uncovered(slices.Values(spans), from, to)
}

// Uncovered is how much of the time between from and to belongs to none of the
// timings: what the harness itself took. Timings that overlap count once, and
// one without a start not at all.
func Uncovered(timings iter.Seq[Timing], from, to time.Time) time.Duration {
	// Since from. Very many of them are sorted, so they are small.
	type span struct{ start, end time.Duration }
	var spans []span
	for timing := range timings {
		if !timing.Started.IsZero() {
			start := timing.Started.Sub(from)
			spans = append(spans, span{start, start + timing.Duration})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	var uncovered, reached time.Duration
	for _, span := range spans {
		uncovered += max(0, span.start-reached)
		reached = max(reached, span.end)
	}
	return uncovered + max(0, to.Sub(from)-reached)
}
