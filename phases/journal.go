package phases

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"grenade/framework/config"
	"grenade/framework/report"
)

// Event is one line of the journal.
type Event struct {
	Time time.Time `json:"time"`
	Run  string    `json:"run"`
	// Kind is "run", "setup" or "row".
	Kind    string `json:"event"`
	Phase   string `json:"phase,omitempty"`
	Project string `json:"project,omitempty"`
	// State is "started", "finished", or a row's outcome.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	PID    int    `json:"pid,omitempty"`
	// Results is the directory of the run's results, on "run" events.
	Results string `json:"results,omitempty"`
	// Scope is the selection's scope, on "run" events.
	Scope string `json:"selection,omitempty"`
	// Filter is the user's label filter, on "run" events.
	Filter string `json:"filter,omitempty"`
	// Tree is GRENADE_TREE, on "run" events.
	Tree config.Tree `json:"tree,omitempty"`
}

// The kinds of event and the states that are not a row's outcome.
const (
	EventRun      = "run"
	EventSetup    = "setup"
	EventRow      = "row"
	StateStarted  = "started"
	StateFinished = "finished"
)

// journalName is the journal's file name in SAVE_DIR.
const journalName = "run.jsonl"

// Journal appends events to $SAVE_DIR/run.jsonl, one line per event, so that what
// happened is known however the run ended. It is safe for concurrent
// use.
type Journal struct {
	run  string
	mu   sync.Mutex
	file *os.File
}

// OpenJournal opens the journal in dir for the run, and truncates it when
// fresh.
func OpenJournal(dir, run string, fresh bool) (*Journal, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if fresh {
		flags |= os.O_TRUNC
	}
	path := filepath.Join(dir, journalName)
	if !fresh {
		if err := endLastLine(path); err != nil {
			return nil, err
		}
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	return &Journal{run: run, file: file}, nil
}

// endLastLine cuts off a line that a killed run left half written, so that the
// next event does not join it.
func endLastLine(path string) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || len(content) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	if whole := bytes.LastIndexByte(content, '\n') + 1; whole < len(content) {
		if err := os.Truncate(path, int64(whole)); err != nil {
			return fmt.Errorf("mend the journal: %w", err)
		}
	}
	return nil
}

// Record appends the event with the time and the run filled in, and returns
// when it is on disk. That a row has begun may be lost with the machine: such a row
// runs again like any other that has not ended, and its outcome takes both lines to
// the disk.
func (j *Journal) Record(event Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	event.Time, event.Run = time.Now().UTC(), j.run
	line, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("journal event: %w", err)
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	if event.Kind == EventRow && event.State == StateStarted {
		return nil
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("sync the journal: %w", err)
	}
	return nil
}

// Close closes the journal's file.
func (j *Journal) Close() error {
	if err := j.file.Close(); err != nil {
		return fmt.Errorf("close the journal: %w", err)
	}
	return nil
}

// ReadJournal returns the events of the journal in dir, none when there is no
// journal. A last line that was cut short by a crash is left out; a line that
// is broken elsewhere is an error.
func ReadJournal(dir string) ([]Event, error) {
	path := filepath.Join(dir, journalName)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	var events []Event
	lines := bufio.NewScanner(bytes.NewReader(content[:bytes.LastIndexByte(content, '\n')+1]))
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		var event Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, fmt.Errorf("%s:%d: not a journal event: %w", path, number, err)
		}
		events = append(events, event)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return events, nil
}

// rowEvent describes a row's outcome for the journal.
func rowEvent(row Row, outcome report.Outcome, reason string) Event {
	return Event{Kind: EventRow, Phase: row.Phase.ID, Project: row.Project, State: string(outcome), Reason: reason}
}
