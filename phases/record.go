package phases

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"grenade/framework/exec"
	"grenade/framework/report"
)

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
	r.retain(row.Key(), settled)
	r.mu.Unlock()
	r.progress.Done(settled)
	r.saveProgress(ctx)
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
	if row.Phase.ID == Leaks && row.Cloud() {
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
	settled, _ := r.recall(row.Key())
	return settled
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
