package phases

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/report"
	"grenade/resources"
)

// batch is the rows of one read-only phase, running side by side.
type batch struct {
	done map[string]chan struct{}
}

// Do brings the row to its outcome and returns it: it asks the gate, acts,
// and records what came of it in the journal, the ledger and the report. The
// rows of a read-only phase all start when the first of them is asked for;
// each call waits for its own.
func (r *Run) Do(ctx context.Context, row Row) report.Row {
	if !row.Phase.ReadOnly || row.Cloud() {
		return r.settle(ctx, row)
	}
	together, started := r.sideBySide[row.Phase.ID]
	if !started {
		together = r.startTogether(ctx, row.Phase)
	}
	<-together.done[row.Key()]
	return r.Row(row)
}

func (r *Run) startTogether(ctx context.Context, phase Phase) *batch {
	together := &batch{done: map[string]chan struct{}{}}
	r.sideBySide[phase.ID] = together
	for _, row := range r.Selection.Rows {
		if row.Phase.ID != phase.ID || row.Cloud() {
			continue
		}
		done := make(chan struct{})
		together.done[row.Key()] = done
		go func() {
			defer close(done)
			r.settle(ctx, row)
		}()
	}
	return together
}

// settle runs one row, if it may run, and records its outcome.
func (r *Run) settle(ctx context.Context, row Row) (settled report.Row) {
	settled = report.Row{Phase: row.Phase.ID, Project: row.Project, Started: time.Now()}
	if relative, err := filepath.Rel(r.ResultsDir(), r.LogFile(row.Phase.ID, row.Project)); err == nil {
		settled.Log = relative
	}
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
	var nothing *resources.NotChecked
	switch {
	case err == nil:
		settled.Outcome = report.Passed
	case errors.As(err, &nothing):
		settled.Outcome, settled.Reason = report.NotChecked, nothing.Reason
	default:
		settled.Outcome = report.Failed
		settled.Failure = r.failure(row, err)
		settled.Consequence = row.Phase.ID == Destroy && redBefore
	}
	return settled
}

// hideSecrets takes the secrets that a script printed out of the row's log,
// which may be published. A process that still writes to the log goes on
// writing to the same file.
func (r *Run) hideSecrets(row Row) error {
	path := r.LogFile(row.Phase.ID, row.Project)
	printed, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hide secrets: %w", err)
	}
	clean := r.redact(string(printed))
	if clean == string(printed) {
		return nil
	}
	if err := os.WriteFile(path, []byte(clean), 0o644); err != nil {
		return fmt.Errorf("hide secrets: %w", err)
	}
	return nil
}

// record writes the outcome down everywhere. A journal that cannot be written
// makes the row fail: a run that cannot remember must not pass.
func (r *Run) record(ctx context.Context, row Row, settled report.Row) {
	if _, known := r.Ledger.Outcome(row.Phase.ID, row.Project); known && settled.Outcome == report.NotChecked && r.Selection.Scope == OnePhase {
		// Asking again for a phase whose time is over changes nothing of what
		// came of it.
		r.progress.Done(settled)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.unrecorded[row.Key()] = settled
		return
	}
	if err := r.journal.Record(rowEvent(row, settled.Outcome, settled.Reason)); err != nil {
		settled.Outcome, settled.Failure = report.Failed, &report.Failure{Message: err.Error()}
	}
	r.Ledger.Note(row, settled.Outcome)
	r.mu.Lock()
	r.rows[row.Key()] = settled
	r.mu.Unlock()
	r.progress.Done(settled)
	entry := r.log.For(row.Phase.ID, row.Project).WithField("seconds", settled.Duration.Seconds())
	switch settled.Outcome {
	case report.Failed:
		entry.Debug(settled.Failure.Message)
		r.keepEvidence(ctx, row)
	default:
		entry.Debug(string(settled.Outcome) + " " + settled.Reason)
	}
}

// keepEvidence saves the node's logs at the first failure, before cleanup can
// destroy them.
func (r *Run) keepEvidence(ctx context.Context, row Row) {
	if row.Phase.ID == Destroy && row.Cloud() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), evidenceBudget)
	defer cancel()
	if err := r.cloud.CollectLogs(ctx, filepath.Join(r.ResultsDir(), "logs", "node")); err != nil {
		r.log.For(row.Phase.ID, row.Project).WithError(err).Warn("the node's logs could not be saved")
	}
}

// evidenceBudget bounds how long saving the node's logs may take.
const evidenceBudget = 30 * time.Second

// Row returns what came of the row.
func (r *Run) Row(row Row) report.Row {
	r.mu.Lock()
	defer r.mu.Unlock()
	if settled, unrecorded := r.unrecorded[row.Key()]; unrecorded {
		return settled
	}
	return r.rows[row.Key()]
}

// alreadyPassed returns what a resumed run recorded for the row, if it passed
// and the user does not ask for it again.
func (r *Run) alreadyPassed(row Row) (report.Row, bool) {
	if r.Selection.Scope == OnePhase || !r.Config.Resume || !r.Ledger.Passed(row.Phase.ID, row.Project) {
		return report.Row{}, false
	}
	recorded := r.Row(row)
	recorded.Reason = "passed before the run was resumed"
	return recorded, true
}

// notChecked returns why the row is not to be checked at all, or nothing.
func (r *Run) notChecked(row Row) string {
	switch {
	case r.settings.Dropped[row.Project] != "":
		return "dropped by " + r.settings.Dropped[row.Project]
	case !r.Config.VerifyResources && isResourcePhase(row.Phase):
		return "VERIFY_RESOURCES is off"
	case row.Phase.ID == Destroy:
		return r.kept(row)
	case r.Selection.Scope == OnePhase:
		return r.wrongStage(row)
	default:
		return ""
	}
}

// wrongStage says, when one phase is asked for, that a verify row belongs to
// another time of the project's upgrade than the one the cloud is in.
func (r *Run) wrongStage(row Row) string {
	upgraded := r.Ledger.Passed(UpgradePhase, row.Project)
	switch {
	case row.Phase.ID == VerifyPreUpgrade && !upgraded && r.Ledger.Passed(Shutdown, row.Project):
		return row.Project + " is shut down; verify_noapi is for that"
	case row.Phase.Stage == resources.PreUpgrade && upgraded:
		return row.Project + " is upgraded already"
	case row.Phase.Stage == resources.PostUpgrade && !upgraded:
		return row.Project + " is not upgraded yet"
	default:
		return ""
	}
}

// kept says why the row's resources, or the cloud, stay.
func (r *Run) kept(row Row) string {
	if r.Selection.Scope == OnePhase {
		if row.Cloud() && !r.Selection.AskedFor(row) {
			return "kept: only one project's destroy was asked for"
		}
		return ""
	}
	failed := r.Ledger.Red()
	if !row.Cloud() {
		_, failed = r.Ledger.FailedAt(row.Project)
	}
	switch {
	case r.Config.Keep == config.KeepAlways:
		return "kept: KEEP=always"
	case r.Config.Keep == config.KeepOnFailure && failed:
		return "kept: KEEP=on-failure"
	default:
		return ""
	}
}

func isResourcePhase(phase Phase) bool {
	switch phase.ID {
	case EarlyCreate, Create, VerifyPreUpgrade, VerifyNoAPI, VerifyPostUpgrade:
		return true
	default:
		return false
	}
}

// expectation is an error that knows what was expected and what was seen.
type expectation interface {
	error
	Expected() string
	Seen() string
}

// failure turns an error into what the report shows of it.
func (r *Run) failure(row Row, err error) *report.Failure {
	failure := &report.Failure{Message: err.Error(), Log: r.LogFile(row.Phase.ID, row.Project)}
	var expected expectation
	if errors.As(err, &expected) {
		failure.Expected, failure.Seen = expected.Expected(), expected.Seen()
	}
	var script *exec.Error
	if errors.As(err, &script) {
		failure.Tail = script.Tail
		if script.Log != "" {
			failure.Log = script.Log
		}
	}
	return failure
}
