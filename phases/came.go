package phases

import (
	"time"
	"unique"

	"grenade/framework/report"
)

// came is what came of a row, without what the row itself says: a thousand plugins have
// twelve thousand of them.
type came struct {
	outcome  report.Outcome // empty where nothing has come of the row yet
	reason   unique.Handle[string]
	started  time.Time
	duration time.Duration
	// logged: its log is where a row's log is.
	logged bool
	// whole is all of a row that has more to tell: it failed, or has tests.
	whole *report.Row
}

// retain has settled be what came of the row. The caller holds the lock.
func (r *Run) retain(row Key, settled report.Row) {
	kept := came{
		outcome: settled.Outcome, reason: unique.Make(settled.Reason), started: settled.Started, duration: settled.Duration, logged: settled.Log != "",
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
	case kept.outcome == "":
		return report.Row{}, false
	case kept.whole != nil:
		return *kept.whole, true
	}
	settled = report.Row{
		Phase: row.Phase, Project: row.Project,
		Outcome: kept.outcome, Reason: kept.reason.Value(), Started: kept.started, Duration: kept.duration,
	}
	if kept.logged {
		settled.Log = logInResults(row.Phase, row.Project)
	}
	return settled, true
}
