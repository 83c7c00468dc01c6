// Package report is the room of the verdict: what each row of the plan came to,
// and the forms in which people and machines read it: junit.xml, report.json,
// report.html, summary.txt, one screen per failure, and lines while it runs.
//
// Rows come from the plan, so a report is complete even when nothing was run. They are
// gone through and not held, so that a report of very many rows takes hardly more memory
// than one of few.
package report

import (
	"cmp"
	"fmt"
	"iter"
	"strings"
	"time"

	"grenade/framework/probe"
)

// Outcome is what a row came to.
type Outcome string

// The outcomes. NotRun is for a row of the plan that the run did not come to;
// rows that were not selected do not belong in a report at all.
const (
	Passed     Outcome = "passed"
	Failed     Outcome = "failed"
	NotChecked Outcome = "not checked" // nothing could fail: no script, kept, not supported
	Blocked    Outcome = "blocked"     // something before it failed
	NotRun     Outcome = "not run"     // the run ended before it
)

// outcomes is the order in which outcomes are told: bad news first.
func outcomes() []Outcome { return []Outcome{Failed, Passed, NotChecked, Blocked, NotRun} }

// Row is one phase of one project.
type Row struct {
	Phase    string        `json:"phase"`
	Project  string        `json:"project"`
	Outcome  Outcome       `json:"outcome"`
	Reason   string        `json:"reason,omitempty"` // why it was not checked, blocked or not run
	Started  time.Time     `json:"started,omitzero"`
	Duration time.Duration `json:"duration_ns"`
	Log      string        `json:"log,omitempty"` // path relative to the results directory
	Failure  *Failure      `json:"failure,omitempty"`
	// Tests are what a test suite that the row ran came to.
	Tests []Test `json:"tests,omitempty"`
	// Consequence: it failed because something before it failed.
	Consequence bool `json:"consequence,omitempty"`
}

// Name is phase/project.
func (r Row) Name() string { return r.Phase + "/" + r.Project }

// Failure is what one needs to understand it without the log.
type Failure struct {
	Message  string   `json:"message"`        // one sentence
	Expected string   `json:"expected"`       // what should have been
	Seen     string   `json:"seen"`           // what was seen last
	Tail     []string `json:"tail,omitempty"` // the last lines of the script's output
	Log      string   `json:"log,omitempty"`  // path of the whole output
}

// Side is one of the two releases as the run found it.
type Side struct {
	Release  string            `json:"release"` // "zed"
	Branch   string            `json:"branch"`  // "stable/zed"
	Suite    string            `json:"suite"`   // "bookworm"
	Packages map[string]string `json:"packages,omitempty"`
}

// Kind says what a stretch of time was spent on.
type Kind string

// The kinds. Other is the harness itself.
const (
	Compile Kind = "compile"
	Roots   Kind = "roots"
	Boot    Kind = "boot"
	StackSh Kind = "stack.sh"
	Script  Kind = "script"
	API     Kind = "api"
	Other   Kind = "other"
)

func kinds() []Kind { return []Kind{Compile, Roots, Boot, StackSh, Script, API, Other} }

// Timing is a stretch of time. Timings of different kinds may run side by side,
// so their sum may be longer than the run.
type Timing struct {
	Name     string        `json:"name"`
	Kind     Kind          `json:"kind"`
	Phase    string        `json:"phase,omitempty"`
	Project  string        `json:"project,omitempty"`
	Started  time.Time     `json:"started,omitzero"`
	Duration time.Duration `json:"duration_ns"`
}

// Evidence is the proof, for one unit, that new code runs.
type Evidence struct {
	Project  string    `json:"project"`
	Unit     string    `json:"unit"`
	Before   []Process `json:"before,omitempty"` // all processes of the unit's cgroup before shutdown
	After    []Process `json:"after,omitempty"`  // and after upgrade
	Upgraded bool      `json:"upgraded"`
	Reason   string    `json:"reason,omitempty"` // why it is no proof, or what it rests on
}

// Process is one process as /proc and dpkg show it.
type Process struct {
	PID     int    `json:"pid"`
	Start   uint64 `json:"start"` // clock ticks since boot (/proc/pid/stat, field 22)
	Exe     string `json:"exe"`
	Root    string `json:"root"`
	Package string `json:"package"`
	Version string `json:"version"`
}

// Continuity is what was seen of something that must answer all the time.
type Continuity struct {
	Project string `json:"project"`
	What    string `json:"what"`
	probe.Continuity
}

// Plugin is a plugin of another repository, as the run used it.
type Plugin struct {
	Name string `json:"name"`
	URL  string `json:"url"` // without user and password
	Ref  string `json:"ref,omitempty"`
	Dir  string `json:"dir"`
	// Commit is empty when the directory is no git checkout.
	Commit  string `json:"commit,omitempty"`
	Subject string `json:"subject,omitempty"` // the first line of its message
	// Changed: files of the checkout differ from the commit.
	Changed bool `json:"changed,omitempty"`
}

// Version is the commit for people: "1a2b3c4d5e6f with changes".
func (p Plugin) Version() string {
	switch {
	case p.Commit == "":
		return "no git checkout"
	case p.Changed:
		return fmt.Sprintf("%.12s with changes", p.Commit)
	default:
		return fmt.Sprintf("%.12s", p.Commit)
	}
}

// Report is a run.
type Report struct {
	RunID    string    `json:"run"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Base     Side      `json:"base"`
	Target   Side      `json:"target"`
	// Setup is BeforeSuite; it is told only when it failed.
	Setup *Row `json:"setup,omitempty"`
	// Rows goes through the whole selected plan, in order, anew for each form of the
	// report. Nil is none: see EachRow.
	Rows iter.Seq[Row] `json:"-"`
	// ExitCode is set by the caller when the run ended for a reason that rows
	// do not show: Usage, Environment or Interrupted. Otherwise ExitCode() finds
	// it.
	ExitCode int        `json:"exit_code"`
	Notes    []string   `json:"notes,omitempty"` // warnings
	Plugins  []Plugin   `json:"plugins,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
	// Timings goes through what the time was spent on, as Rows does. See EachTiming.
	Timings iter.Seq[Timing] `json:"-"`
	// Continuity is how what must answer all the time did.
	Continuity []Continuity `json:"continuity,omitempty"`
	// PeakMemory is how many bytes more than before the run the machine used at
	// most; 0: not known.
	PeakMemory int64 `json:"peak_memory_bytes,omitempty"`

	// Redact, when set, is applied to everything that is written.
	Redact func(string) string `json:"-"`
}

// The exit codes of a run.
const (
	Green       = 0
	Red         = 1
	Usage       = 2
	Environment = 3
	Interrupted = 130
)

// ExitCode judges a report; the reason is one phrase, "" when green. What the
// caller set because of usage, environment or an interrupt stands. Otherwise
// any failure is red, and so is a run of which nothing passed or a row of which
// was blocked or not reached: only what was looked at can be green.
func ExitCode(r Report) (code int, reason string) {
	n := r.Counts()
	switch {
	case r.ExitCode == Usage:
		return Usage, "wrong usage or configuration"
	case r.ExitCode == Environment:
		return Environment, "no verdict: the base cloud could not be built, or the machine lacks something"
	case r.ExitCode == Interrupted:
		return Interrupted, "interrupted"
	case r.setupFailed():
		return Red, "setup failed"
	case n[Failed] > 0:
		return Red, ""
	case n[Blocked] > 0 || n[NotRun] > 0:
		return Red, "the run did not come to its end"
	case n[Passed] == 0:
		return Red, "nothing was checked"
	default:
		return Green, ""
	}
}

// Verdict is the word for an exit code.
func Verdict(code int) string {
	switch code {
	case Green:
		return "GREEN"
	case Usage:
		return "CONFIG"
	case Environment:
		return "ENVIRONMENT"
	case Interrupted:
		return "INTERRUPTED"
	default:
		return "RED"
	}
}

// EachRow goes through the rows, each with an outcome: what the run did not come to was
// blocked by a failed setup, or not run.
func (r Report) EachRow() iter.Seq[Row] { return mapped(r.Rows, r.completed) }

// EachTiming goes through what the time was spent on.
func (r Report) EachTiming() iter.Seq[Timing] { return orNone(r.Timings) }

// Counts counts rows by outcome; a failed setup is one more failure.
func (r Report) Counts() map[Outcome]int {
	n := map[Outcome]int{}
	for row := range r.EachRow() {
		n[row.Outcome]++
	}
	if r.setupFailed() {
		n[Failed]++
	}
	return n
}

// Failures lists failed rows, setup included: causes before consequences.
func (r Report) Failures() []Row {
	var causes, consequences []Row
	if r.setupFailed() {
		causes = append(causes, *r.Setup)
	}
	for row := range r.EachRow() {
		switch {
		case row.Outcome != Failed:
		case row.Consequence:
			consequences = append(consequences, row)
		default:
			causes = append(causes, row)
		}
	}
	return append(causes, consequences...)
}

func (r Report) setupFailed() bool { return r.Setup != nil && r.Setup.Outcome == Failed }

// withSetup goes through the rows, before them the setup.
func (r Report) withSetup() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		if r.Setup != nil {
			setup := *r.Setup
			setup.Phase = cmp.Or(setup.Phase, "setup")
			setup.Project = cmp.Or(setup.Project, "cloud")
			if !yield(setup) {
				return
			}
		}
		r.EachRow()(yield)
	}
}

// of goes through those of the rows that are of one phase.
func of(rows iter.Seq[Row], phase string) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for row := range rows {
			if row.Phase == phase && !yield(row) {
				return
			}
		}
	}
}

// completed is the row with an outcome.
func (r Report) completed(row Row) Row {
	if row.Outcome == "" {
		row.Outcome = NotRun
	}
	if row.Outcome == NotRun && r.setupFailed() {
		row.Outcome, row.Reason = Blocked, "setup failed"
	}
	if row.Outcome == NotRun && row.Reason == "" {
		row.Reason = "the run ended before it"
	}
	return row
}

// phases and projects are in the plan's order; "cloud" leads the projects.
func (r Report) phases() []string {
	return distinct(r.EachRow(), phaseOf)
}

func (r Report) projects() []string {
	all := distinct(r.EachRow(), func(row Row) string { return row.Project })
	for i, p := range all {
		if p == "cloud" {
			copy(all[1:i+1], all[:i])
			all[0] = p
		}
	}
	return all
}

func phaseOf(row Row) string { return row.Phase }

func distinct(rows iter.Seq[Row], key func(Row) string) []string {
	var all []string
	seen := map[string]bool{}
	for row := range rows {
		if k := key(row); !seen[k] {
			seen[k] = true
			all = append(all, k)
		}
	}
	return all
}

// proof counts units with proof of upgrade among all.
func (r Report) proof() (proven, all int) {
	for _, e := range r.Evidence {
		if e.Upgraded {
			proven++
		}
	}
	return proven, len(r.Evidence)
}

func (r Report) elapsed() time.Duration {
	if r.Finished.Before(r.Started) {
		return 0
	}
	return r.Finished.Sub(r.Started)
}

// tally is "1 failed, 20 passed": what there is none of is left out.
func tally(n map[Outcome]int) string {
	var parts []string
	for _, o := range outcomes() {
		if n[o] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[o], o))
		}
	}
	if len(parts) == 0 {
		return "no rows"
	}
	return strings.Join(parts, ", ")
}

func (r Report) redact(text string) string {
	if r.Redact == nil {
		return text
	}
	return r.Redact(text)
}
