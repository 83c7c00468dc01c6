package phases

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"grenade/framework/report"
	"grenade/resources"
)

// Do brings the row to its outcome and returns it: it asks the gate, acts,
// and records what came of it in the journal, the ledger and the report. The
// rows of a read-only phase all start when the first of them is asked for;
// each call waits for its own. In all other phases the projects are worked on in
// the order that settings gave them: rows that belong before the one that is
// asked for are settled first, and are only returned when it is their turn.
func (r *Run) Do(ctx context.Context, row Row) report.Row {
	if !row.OfProject() {
		return r.settle(ctx, row)
	}
	if !row.Phase.ReadOnly {
		return r.inOrder(ctx, row)
	}
	if r.turn.of(row.Key()) == notSelected {
		// Nobody would ever work on it.
		return report.Row{Phase: row.Phase.ID, Project: row.Project, Outcome: report.Failed, Failure: &report.Failure{
			Message: row.Key().String() + " was asked for, and is not among the selected rows: the label filter and the selection do not agree",
		}}
	}
	together, started := r.sideBySide[row.Phase.ID]
	if !started {
		together = r.startTogether(ctx, row.Phase)
		r.sideBySide[row.Phase.ID] = together
	}
	together.wait(row.Project)
	return r.Row(row)
}

// inOrder settles the row, and before it the rows that stand before it in the
// order of the settings.
func (r *Run) inOrder(ctx context.Context, row Row) report.Row {
	if r.turn.of(row.Key()) == ahead {
		r.turn.put(row.Key(), over)
		return r.Row(row)
	}
	for other := range r.before(row) {
		r.turn.put(other.Key(), ahead)
		r.settle(ctx, other)
		if reason := r.interruption(); reason != "" {
			// The row that was in progress is over, and no further one begins.
			return report.Row{Phase: row.Phase.ID, Project: row.Project, Outcome: report.NotRun, Reason: reason}
		}
	}
	r.turn.put(row.Key(), over)
	return r.settle(ctx, row)
}

// turn is where a row stands.
type turn uint8

const (
	notSelected turn = iota
	waiting
	// ahead: it is one of an ordered phase, and was settled before it was asked for.
	ahead
	// over: it is one of an ordered phase, and was settled.
	over
)

// before goes through the selected rows of the phase that wait still and whose projects
// come before the row's in the order of the settings.
func (r *Run) before(row Row) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		order := r.settings.Order
		place := slices.Index(order, row.Project)
		if place < 0 {
			return
		}
		projects := slices.All(order[:place])
		if row.Phase.Reversed {
			projects = slices.Backward(order[place+1:])
		}
		for _, project := range projects {
			other := Row{Phase: row.Phase, Project: project}
			if r.turn.of(other.Key()) == waiting && !yield(other) {
				return
			}
		}
	}
}

// interruption is why no further row may begin, "" when all may.
func (r *Run) interruption() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.interrupted
}

// settle runs one row, if it may run, and records its outcome.
func (r *Run) settle(ctx context.Context, row Row) (settled report.Row) {
	settled = report.Row{Phase: row.Phase.ID, Project: row.Project, Started: time.Now(), Log: logInResults(row.Phase.ID, row.Project)}
	defer func() {
		if crash := recover(); crash != nil {
			settled.Outcome = report.Failed
			settled.Failure = &report.Failure{Message: fmt.Sprintf("panic: %v", crash)}
		}
		r.record(ctx, row, settled)
	}()
	if resumed, passed := r.alreadyPassed(row); passed {
		return resumed
	}
	if ctx.Err() != nil {
		settled.Outcome, settled.Reason = report.NotRun, context.Cause(ctx).Error()
		return settled
	}
	if reason := r.notChecked(row); reason != "" {
		settled.Outcome, settled.Reason = report.NotChecked, reason
		return settled
	}
	if r.Selection.Scope != OnePhase {
		if open, reason := r.Ledger.Gate(row); !open {
			settled.Outcome, settled.Reason = report.Blocked, reason
			return settled
		}
	}
	if err := r.journal.Record(Event{Kind: EventRow, Phase: row.Phase.ID, Project: row.Project, State: StateStarted}); err != nil {
		settled.Outcome, settled.Failure = report.Failed, &report.Failure{Message: err.Error()}
		return settled
	}
	if err := os.MkdirAll(filepath.Dir(r.LogFile(row.Phase.ID, row.Project)), 0o755); err != nil {
		settled.Outcome, settled.Failure = report.Failed, &report.Failure{Message: err.Error()}
		return settled
	}
	r.progress.Start(row.Phase.ID, row.Project)
	redBefore := r.Ledger.Red()
	err := errors.Join(r.act(ctx, row), r.hideSecrets(row))
	settled.Duration = time.Since(settled.Started)
	r.mu.Lock()
	settled.Tests = r.tests[row.Key()]
	r.mu.Unlock()
	var nothing *resources.NotChecked
	switch {
	case err == nil:
		settled.Outcome = report.Passed
	case errors.As(err, &nothing):
		settled.Outcome, settled.Reason = report.NotChecked, nothing.Reason
	default:
		settled.Outcome = report.Failed
		settled.Failure = r.failure(row, err)
		settled.Consequence = row.Phase.Removes() && redBefore
	}
	return settled
}

// alreadyPassed returns what a resumed run recorded for the row, if it passed
// and the user does not ask for it again.
func (r *Run) alreadyPassed(row Row) (report.Row, bool) {
	if r.Selection.Scope == OnePhase || !r.Config.Resume || !r.Ledger.Passed(row.Phase.ID, row.Project) {
		return report.Row{}, false
	}
	recorded := r.Row(row)
	recorded.Phase, recorded.Project, recorded.Outcome = row.Phase.ID, row.Project, report.Passed
	recorded.Reason = "passed before the run was resumed"
	return recorded, true
}
