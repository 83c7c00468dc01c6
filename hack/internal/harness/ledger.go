package harness

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"
)

// Result is what became of one case.
type Result struct {
	Case    string    `json:"case"`
	Passed  bool      `json:"passed"`
	Detail  string    `json:"detail"`
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
}

// Ledger is a dated file of results that a later call goes on with.
type Ledger struct {
	Kind string `json:"kind"`
	// Commit is what was tested; results of another one are no use.
	Commit string `json:"commit"`
	// Began and Finished are times; Finished is zero until every case has a result.
	Began    time.Time `json:"began"`
	Finished time.Time `json:"finished,omitzero"`
	// Plan is the rows that a whole run has.
	Plan []Row `json:"plan"`
	// Plans are the rows of further runs, by the name of what they run on.
	Plans map[string][]Row `json:"plans,omitempty"`
	// Phases are in the order in which they ran.
	Phases []string `json:"phases"`
	// Current is the case in progress: when a call finds one, the call before
	// was killed, and what it left is the tool's own to remove.
	Current string   `json:"current,omitempty"`
	Results []Result `json:"results"`

	path string
}

// OpenLedger opens the newest unfinished ledger of the kind in dir when it is of
// the same commit and again is false, else it begins a new one. It writes nothing
// yet.
func OpenLedger(dir, kind, commit string, again bool) (*Ledger, error) {
	files, err := filepath.Glob(filepath.Join(dir, kind+"-*.json"))
	if err != nil {
		return nil, fmt.Errorf("find earlier results: %w", err)
	}
	if len(files) > 0 && !again {
		// The date in the name sorts.
		newest := slices.Max(files)
		content, err := os.ReadFile(newest)
		if err != nil {
			return nil, fmt.Errorf("earlier results: %w", err)
		}
		ledger := &Ledger{path: newest}
		if err := json.Unmarshal(content, ledger); err != nil {
			return nil, fmt.Errorf("earlier results: %s: %w", newest, err)
		}
		if ledger.Finished.IsZero() && ledger.Commit == commit {
			return ledger, nil
		}
	}
	now := time.Now()
	return &Ledger{
		Kind: kind, Commit: commit, Began: now,
		path: filepath.Join(dir, kind+"-"+now.Format("2006-01-02T150405")+".json"),
	}, nil
}

// Path is the ledger's file.
func (l *Ledger) Path() string { return l.path }

// Has tells whether the case has a result already.
func (l *Ledger) Has(name string) bool {
	return slices.ContainsFunc(l.Results, func(r Result) bool { return r.Case == name })
}

// Begin notes the case as the one in progress, on disk.
func (l *Ledger) Begin(name string) error {
	l.Current = name
	return l.save()
}

// Record notes the result, on disk.
func (l *Ledger) Record(result Result) error {
	l.Current = ""
	l.Results = append(l.Results, result)
	return l.save()
}

// Finish notes that every case has a result.
func (l *Ledger) Finish() error {
	l.Finished = time.Now()
	return l.save()
}

// Failed returns the results that are not passed.
func (l *Ledger) Failed() []Result {
	return slices.DeleteFunc(slices.Clone(l.Results), func(r Result) bool { return r.Passed })
}

// Slowest is the longest time that a case took, a guess at the next one's.
func (l *Ledger) Slowest() time.Duration {
	var longest float64
	for _, result := range l.Results {
		longest = max(longest, result.Seconds)
	}
	return time.Duration(longest * float64(time.Second))
}

// Table writes one line per result.
func (l *Ledger) Table(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "CASE\tRESULT\tSECONDS\tDETAIL")
	for _, result := range l.Results {
		outcome := "passed"
		if !result.Passed {
			outcome = "FAILED"
		}
		fmt.Fprintf(table, "%s\t%s\t%.0f\t%s\n", result.Case, outcome, result.Seconds, firstLine(result.Detail))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the results: %w", err)
	}
	return nil
}

func (l *Ledger) save() error {
	content, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return fmt.Errorf("save the results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o755); err != nil {
		return fmt.Errorf("save the results: %w", err)
	}
	// Replaced in one step: a killed call must not cost what was learnt.
	scratch := l.path + ".new"
	if err := os.WriteFile(scratch, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("save the results: %w", err)
	}
	if err := os.Rename(scratch, l.path); err != nil {
		return errors.Join(fmt.Errorf("save the results: %w", err), ignoreMissing(os.Remove(scratch)))
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func firstLine(text string) string {
	for i, r := range text {
		if r == '\n' {
			return text[:i] + " …"
		}
	}
	return text
}
