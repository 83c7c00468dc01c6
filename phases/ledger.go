package phases

import (
	"fmt"
	"sync"

	"grenade/framework/report"
)

// Ledger knows what came of each row, and decides by it which rows may still
// run. It is safe for concurrent use.
type Ledger struct {
	mu       sync.Mutex
	outcomes byRow[report.Outcome]
	failed   int // of the outcomes
	requires Requirements
}

// NewLedger returns an empty ledger.
func NewLedger(requires Requirements) *Ledger {
	return &Ledger{outcomes: byRow[report.Outcome]{}, requires: requires}
}

// Replay takes over what the journal's row events say. A row that started and
// did not end is not recorded, so it may run again.
func (l *Ledger) Replay(events []Event) {
	for _, event := range events {
		if event.Kind != EventRow {
			continue
		}
		phase, known := PhaseByID(event.Phase)
		if !known {
			continue
		}
		row := Row{Phase: phase, Project: event.Project}
		if event.State == StateStarted {
			l.forget(row)
			continue
		}
		l.Note(row, report.Outcome(event.State))
	}
}

// Note records the outcome of a row; a later one replaces an earlier one.
func (l *Ledger) Note(row Row, outcome report.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(row.Key(), -1)
	l.outcomes.put(row.Key(), outcome)
	l.count(row.Key(), 1)
}

// count counts the row, if it failed, in or out.
func (l *Ledger) count(row Key, by int) {
	if l.outcomes.of(row) == report.Failed {
		l.failed += by
	}
}

func (l *Ledger) forget(row Row) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(row.Key(), -1)
	l.outcomes.put(row.Key(), "")
}

// Outcome returns what came of the row, and whether it ran at all.
func (l *Ledger) Outcome(phaseID, project string) (report.Outcome, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	outcome := l.outcomes.of(Key{Phase: phaseID, Project: project})
	return outcome, outcome != ""
}

// Passed tells whether the row ran and passed.
func (l *Ledger) Passed(phaseID, project string) bool {
	outcome, known := l.Outcome(phaseID, project)
	return known && outcome == report.Passed
}

// FailedAt returns the phase at which the project failed first.
func (l *Ledger) FailedAt(project string) (phaseID string, failed bool) {
	for _, phase := range Sequence() {
		if outcome, _ := l.Outcome(phase.ID, project); outcome == report.Failed {
			return phase.ID, true
		}
	}
	return "", false
}

// Gate tells whether the row may run; if not, reason is a sentence that says
// why. Destroy and the cloud's own end are always tried.
func (l *Ledger) Gate(row Row) (open bool, reason string) {
	if row.Phase.Removes() {
		return true, ""
	}
	for _, phase := range Sequence() {
		if phase.CloudRow == CloudRowFirst && !after(phase.ID, row.Phase.ID) {
			if outcome, _ := l.Outcome(phase.ID, CloudProject); outcome == report.Failed && (!row.Cloud() || phase.ID != row.Phase.ID) {
				return false, fmt.Sprintf("the cloud failed at %s", phase.ID)
			}
		}
	}
	if !row.OfProject() {
		return true, ""
	}
	if at, failed := l.FailedAt(row.Project); failed && after(row.Phase.ID, at) {
		return false, fmt.Sprintf("%s failed at %s", row.Project, at)
	}
	needed, err := l.requires([]string{row.Project})
	if err != nil {
		return false, fmt.Sprintf("what %s requires is not known: %v", row.Project, err)
	}
	for _, project := range needed {
		for _, at := range []string{Shutdown, UpgradePhase} {
			outcome, _ := l.Outcome(at, project)
			if project != row.Project && outcome == report.Failed && !after(at, row.Phase.ID) {
				return false, fmt.Sprintf("%s requires %s, which failed at %s", row.Project, project, at)
			}
		}
	}
	return true, ""
}

// Red tells whether any row failed.
func (l *Ledger) Red() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed > 0
}

// after tells whether phase stands behind other in the sequence.
func after(phase, other string) bool {
	return position(phase) > position(other)
}
