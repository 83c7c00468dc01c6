package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Event is one line of $SAVE_DIR/run.jsonl, the journal of a run.
type Event struct {
	Time time.Time `json:"time"`
	// Run is the run's id.
	Run string `json:"run"`
	// Kind is "run", "setup" or "row".
	Kind    string `json:"event"`
	Phase   string `json:"phase"`
	Project string `json:"project"`
	// State is "started", "finished", or a row's outcome.
	State  string `json:"state"`
	Reason string `json:"reason"`
	// PID is the suite's, on "run" events.
	PID int `json:"pid"`
	// Results is the directory of the run's results, on "run" events.
	Results string `json:"results"`
}

// String names the event for a message.
func (e Event) String() string {
	switch e.Kind {
	case "":
		return "no event yet"
	case KindRow:
		return fmt.Sprintf("%s/%s %s", e.Phase, e.Project, e.State)
	default:
		return e.Kind + " " + e.State
	}
}

// The kinds of event, and the state that each begins with.
const (
	KindRun   = "run"
	KindSetup = "setup"
	KindRow   = "row"
	Started   = "started"
)

// Follower reads a journal while it is written.
type Follower struct {
	path string
	seen []byte
}

// Follow follows the journal at path from its present end on; it need not exist
// yet. What a later run writes over the same file counts as new.
func Follow(path string) (*Follower, error) {
	seen, err := readJournal(path)
	if err != nil {
		return nil, err
	}
	return &Follower{path: path, seen: seen}, nil
}

// Next returns the events that were added since the last call, none when there is
// nothing new. A line that is not finished yet waits for the next call.
func (f *Follower) Next() ([]Event, error) {
	content, err := readJournal(f.path)
	if err != nil {
		return nil, err
	}
	fresh := content
	if rest, longer := bytes.CutPrefix(content, f.seen); longer {
		fresh = rest
	}
	f.seen = content
	var events []Event
	for line := range bytes.Lines(fresh) {
		var event Event
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("%s: not an event: %q: %w", f.path, bytes.TrimSpace(line), err)
		}
		events = append(events, event)
	}
	return events, nil
}

// readJournal reads the finished lines.
func readJournal(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	return content[:bytes.LastIndexByte(content, '\n')+1], nil
}
