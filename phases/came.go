package phases

import (
	"math"
	"time"
	"unique"

	"grenade/framework/report"
)

// came is what came of a row, without what the row itself says. A thousand plugins have
// twelve thousand of them, so it is small, as is spent.
type came struct {
	// how is shared by all that came to the same; its zero value is that nothing has come
	// of the row yet.
	how unique.Handle[ending]
	// started is since the run's start.
	started, duration time.Duration
	// logged: its log is where a row's log is.
	logged bool
	// whole is all of a row that has more to tell: it failed, or has tests.
	whole *report.Row
}

// ending is what many rows come to.
type ending struct {
	outcome report.Outcome
	reason  string
}

// never is when a row started that did not.
const never = time.Duration(math.MinInt64)

// retain has settled be what came of the row. The caller holds the lock.
func (r *Run) retain(row Key, settled report.Row) {
	kept := came{
		how:     unique.Make(ending{settled.Outcome, settled.Reason}),
		started: never, duration: settled.Duration, logged: settled.Log != "",
	}
	if !settled.Started.IsZero() {
		kept.started = settled.Started.Sub(r.started)
	}
	if settled.Failure != nil || settled.Tests != nil || settled.Consequence {
		kept.whole = &settled
	}
	r.rows.put(row, kept)
}

// recall is what came of the row, and whether anything has. The caller holds the lock.
func (r *Run) recall(row Key) (settled report.Row, done bool) {
	kept := r.rows.of(row)
	switch {
	case kept == came{}:
		return report.Row{}, false
	case kept.whole != nil:
		return *kept.whole, true
	}
	how := kept.how.Value()
	settled = report.Row{Phase: row.Phase, Project: row.Project, Outcome: how.outcome, Reason: how.reason, Duration: kept.duration}
	if kept.started != never {
		settled.Started = r.started.Add(kept.started)
	}
	if kept.logged {
		settled.Log = logInResults(row.Phase, row.Project)
	}
	return settled, true
}

// spent is what a stretch of a row's time was spent on.
type spent struct {
	project string
	on      unique.Handle[activity]
	// started is since the run's start.
	started, duration time.Duration
}

// activity is what many rows spend time on.
type activity struct {
	phase string
	kind  report.Kind
	name  string
}

// took records what a stretch of the row's time was spent on.
func (r *Run) took(row Row, kind report.Kind, name string, since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spent = append(r.spent, spent{
		project: row.Project, on: unique.Make(activity{row.Phase.ID, kind, name}), started: since.Sub(r.started), duration: time.Since(since),
	})
}

// eachSpent goes through what the rows' time was spent on.
func (r *Run) eachSpent(yield func(report.Timing) bool) {
	r.mu.Lock()
	all := r.spent
	r.mu.Unlock()
	// More may come behind them, but these stay.
	for _, each := range all {
		on := each.on.Value()
		if !yield(report.Timing{
			Name: on.name, Kind: on.kind, Phase: on.phase, Project: each.project, Started: r.started.Add(each.started), Duration: each.duration,
		}) {
			return
		}
	}
}
