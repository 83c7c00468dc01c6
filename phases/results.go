package phases

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"grenade/framework/config"
	"grenade/framework/report"
)

// Note adds a remark to the report and the log: something that people should
// know and that is no verdict.
func (r *Run) Note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.mu.Lock()
	if !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
	r.mu.Unlock()
	r.log.For("", "").Info(text)
}

// Report returns the run so far: every planned row, also those that did not
// run, with why not. Whoever goes through its rows sees them as they are by then.
func (r *Run) Report(ctx context.Context) report.Report {
	made := r.reportHead(ctx)
	made.Rows = r.eachRow
	// Whoever writes the report does so beside the rows: the cloud is theirs.
	ofCloud := slices.Values(r.cloud.Timings())
	harness := report.Timing{Name: "the harness itself", Kind: report.Other}
	harness.Duration = report.Uncovered(oneAfterTheOther(ofCloud, r.eachSpent), r.started, made.Finished)
	made.Timings = oneAfterTheOther(ofCloud, r.eachSpent, slices.Values([]report.Timing{harness}))
	if r.earlier == nil {
		return made
	}
	merged := report.Merge(*r.earlier, made)
	merged.Rows = slices.Values(slices.SortedStableFunc(merged.Rows, func(a, b report.Row) int { return position(a.Phase) - position(b.Phase) }))
	return merged
}

// oneAfterTheOther goes through all of them.
func oneAfterTheOther(all ...iter.Seq[report.Timing]) iter.Seq[report.Timing] {
	return func(yield func(report.Timing) bool) {
		for _, timings := range all {
			for timing := range timings {
				if !yield(timing) {
					return
				}
			}
		}
	}
}

// reportHead is the report without rows and times.
func (r *Run) reportHead(ctx context.Context) report.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	head := report.Report{
		RunID: r.ID, Started: r.started, Finished: time.Now(),
		Base: r.side(ctx, config.Base), Target: r.side(ctx, config.Target),
		Notes: slices.Clone(r.notes), Setup: r.setup, PeakMemory: r.memory(), Evidence: r.reportEvidence(),
	}
	for _, plugin := range r.fetched {
		head.Plugins = append(head.Plugins, plugin.Reported())
	}
	for _, each := range r.continuity {
		head.Continuity = append(head.Continuity, report.Continuity(each))
	}
	return head
}

// eachRow goes through the planned rows and what has come of them.
func (r *Run) eachRow(yield func(report.Row) bool) {
	for _, row := range r.Selection.Rows {
		if !yield(r.rowSoFar(row)) {
			return
		}
	}
}

func (r *Run) rowSoFar(row Row) report.Row {
	r.mu.Lock()
	defer r.mu.Unlock()
	if settled, done := r.recall(row.Key()); done {
		return settled
	}
	return report.Row{Phase: row.Phase.ID, Project: row.Project, Outcome: report.NotRun, Reason: r.whyNotRun()}
}

func (r *Run) side(ctx context.Context, side config.Side) report.Side {
	release := r.Config.Base
	if side == config.Target {
		release = r.Config.Target
	}
	described := report.Side{Release: release.Name, Branch: release.Branch, Suite: release.Suite, Packages: map[string]string{}}
	if r.foreign != nil {
		return described
	}
	versions, err := r.trees.Packages(ctx, side)
	if err != nil {
		return described
	}
	for _, project := range r.Selection.Closure {
		service, _ := r.cloud.Service(project, side)
		for _, name := range service.Packages {
			described.Packages[name] = versions[name]
		}
	}
	return described
}

func (r *Run) whyNotRun() string {
	switch {
	case r.setup == nil:
		return "the run ended during setup"
	case r.setup.Outcome == report.Failed:
		return "setup failed"
	case r.interrupted != "":
		return r.interrupted
	default:
		return "the run ended before it"
	}
}

// Screen is what people see of a row that failed.
func (r *Run) Screen(settled report.Row) string { return r.redact(report.Screen(settled)) }

// WriteResults writes the report's files into the run's results directory.
// A code other than green or red says why the run ended before its time.
func (r *Run) WriteResults(ctx context.Context, code int) (report.Report, error) {
	// What is still written of the run so far must not come after it.
	r.writing <- struct{}{}
	defer func() { <-r.writing }()
	made := r.Report(ctx)
	made.ExitCode = code
	made.Redact = r.redact
	if made.ExitCode == report.Green {
		made.ExitCode, _ = report.ExitCode(made)
	}
	if err := made.WriteAll(r.ResultsDir()); err != nil {
		return made, fmt.Errorf("results of the run: %w", err)
	}
	return made, nil
}

// fewRows is how many rows a run may have whose report is written after each of them:
// eight projects have a hundred.
const fewRows = 500

// saveProgress has the report as it is now written beside the rows that follow. Where
// it is long, that is not done after every row, or a run would take the square of its
// rows: it takes a twentieth of the time at most. The journal has every row all the
// same, before the next one begins.
func (r *Run) saveProgress(ctx context.Context) {
	r.mu.Lock()
	due := len(r.Selection.Rows) <= fewRows || time.Since(r.savedAt) >= 20*r.saveTook
	if due {
		r.savedAt = time.Now()
	}
	r.mu.Unlock()
	if !due {
		return
	}
	made := r.Report(ctx)
	made.Redact = r.redact
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unwritten = &made
	select {
	case r.writing <- struct{}{}:
		go r.writeProgress()
	default: // whoever writes comes to it
	}
}

// writeProgress writes what is unwritten, and what is by then. It has the place in
// writing, and gives it back.
func (r *Run) writeProgress() {
	for {
		r.mu.Lock()
		made := r.unwritten
		r.unwritten = nil
		if made == nil {
			<-r.writing
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		began := time.Now()
		if err := made.SaveProgress(r.ResultsDir()); err != nil {
			r.Note("results of the run so far: %v", err)
		}
		r.mu.Lock()
		r.savedAt, r.saveTook = time.Now(), time.Since(began)
		r.mu.Unlock()
	}
}

// Interrupt notes why the run ends before its time.
func (r *Run) Interrupt(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.interrupted == "" {
		r.interrupted = reason
	}
}

// Finish is the end of a run whose remaining rows will not run: it makes up
// for the destroys that are still open, the cloud's own included, which saves
// the node's logs first. What leaked is not judged: it goes with the cloud. After a failed setup there is only the cloud to
// remove. KEEP is heeded. It may be called again, and when all has been done.
func (r *Run) Finish(ctx context.Context) error {
	if r.journal == nil {
		return nil
	}
	if r.setup != nil && r.setup.Outcome == report.Failed {
		return r.finishFailedSetup(ctx)
	}
	var failures []error
	for _, row := range r.Selection.Rows {
		if row.Phase.ID != Destroy && !(row.Phase.ID == Leaks && row.Cloud()) {
			continue
		}
		if outcome, ran := r.Ledger.Outcome(row.Phase.ID, row.Project); ran && outcome != report.NotRun {
			continue
		}
		if settled := r.settle(ctx, row); settled.Outcome == report.Failed {
			failures = append(failures, fmt.Errorf("destroy of %s: %s", row.Project, settled.Failure.Message))
		}
	}
	return errors.Join(failures...)
}

// finishFailedSetup removes a cloud that never came up. A cloud that an
// earlier process built is left: connecting to it is all that failed.
func (r *Run) finishFailedSetup(ctx context.Context) error {
	if r.Continues() || r.Config.Keep != config.KeepNever {
		return nil
	}
	if err := r.cloud.Dispose(ctx); err != nil {
		return fmt.Errorf("remove the cloud: %w", err)
	}
	return r.journal.Record(Event{Kind: EventRun, State: StateFinished})
}

// Close releases what the run holds in this process; the cloud is left as it
// is.
func (r *Run) Close() error {
	r.writing <- struct{}{}
	defer func() { <-r.writing }()
	r.mu.Lock()
	for _, named := range r.witnesses {
		for _, each := range named {
			// What nobody waits for any more is not in the report.
			_, _ = each.echo.Stop()
		}
	}
	r.mu.Unlock()
	err := r.cloud.Close()
	if r.journal != nil {
		err = errors.Join(err, r.journal.Close())
	}
	return err
}
