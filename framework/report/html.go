package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"iter"
	"slices"
	"sort"
	"strings"
	"time"
)

//go:embed report.html.tmpl
var page string

// WriteHTML writes the report as one page that needs nothing else. Its links to
// logs are relative: the page belongs into the results directory.
func (r Report) WriteHTML(w io.Writer) error {
	parsed, err := template.New("report").Parse(page)
	if err != nil {
		return fmt.Errorf("writing the report as HTML: %w", err)
	}
	out := newSink(w)
	if err := parsed.Execute(out, r.redacted().view()); err != nil {
		return fmt.Errorf("writing the report as HTML: %w", err)
	}
	return out.done("HTML")
}

// view is what the page shows, worked out: the template only places it.
type view struct {
	Report              Report
	Verdict, Class      string
	ExitCode            int
	Reason, Tally, Took string
	Started             string
	Base, Target        string
	Projects            []string
	Phases              iter.Seq[phaseView]
	HasPlan             bool
	Kinds               []kindView
	Failures            []failureView
	Skipped             []skipped
	Evidence            []evidenceView
	Proven, Units       int
	Packages            []packageView
}

type phaseView struct {
	Name  string
	Cells []cellView
	Took  string
}

type cellView struct {
	Class, Sign, Text, Title, Link string
}

type kindView struct {
	Kind    Kind
	Took    string
	Percent float64
	// Parts are the longest of Count timings; the Rest of them took RestTook together.
	Parts       []Timing
	Count, Rest int
	RestTook    string
}

type failureView struct {
	ID, Phase, Project, Headline, Took, Log string
	Failure                                 Failure
	Consequence                             bool
	Tail                                    string
}

type evidenceView struct {
	Evidence
	Rows []processPair
}

// processPair is one line of the table: processes have no partners, they are
// only listed side by side.
type processPair struct{ Before, After *Process }

type packageView struct {
	Name, Base, Target string
	Changed            bool
}

func (r Report) view() view {
	code, reason := ExitCode(r)
	proven, units := r.proof()
	v := view{
		Report: r, Verdict: Verdict(code), Class: verdictClass(code), ExitCode: code, Reason: reason,
		Tally: tally(r.Counts()), Took: seconds(r.elapsed()),
		Base: side(r.Base), Target: side(r.Target),
		Projects: r.projects(), Proven: proven, Units: units,
		Skipped: r.skips(), Packages: r.packages(), Kinds: r.kindViews(),
	}
	if !r.Started.IsZero() {
		v.Started = r.Started.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	phases := r.phases()
	v.HasPlan = len(phases) > 0
	v.Phases = func(yield func(phaseView) bool) {
		for _, phase := range phases {
			if !yield(r.phaseView(phase, v.Projects)) {
				return
			}
		}
	}
	for _, row := range r.Failures() {
		v.Failures = append(v.Failures, failureOf(row))
	}
	for _, e := range r.Evidence {
		v.Evidence = append(v.Evidence, evidenceOf(e))
	}
	return v
}

func verdictClass(code int) string {
	switch code {
	case Green:
		return "passed"
	case Red:
		return "failed"
	default:
		return "blocked"
	}
}

func class(o Outcome) string { return strings.ReplaceAll(string(o), " ", "-") }

func (r Report) phaseView(phase string, projects []string) phaseView {
	v := phaseView{Name: phase}
	rows := map[string]Row{}
	for row := range of(r.EachRow(), phase) {
		rows[row.Project] = row
	}
	var took time.Duration
	for _, project := range projects {
		row, planned := rows[project]
		if !planned {
			v.Cells = append(v.Cells, cellView{Class: "none", Title: "not in the plan"})
			continue
		}
		took += row.Duration
		cell := cellView{Class: class(row.Outcome), Sign: sign(row.Outcome), Text: seconds(row.Duration), Link: row.Log}
		cell.Title = row.Name() + ": " + string(row.Outcome)
		if row.Reason != "" {
			cell.Title += " – " + row.Reason
		}
		switch row.Outcome {
		case Passed:
		case Failed:
			cell.Link = "#" + anchor(row)
			if row.Consequence {
				cell.Title += " (a consequence)"
			}
		default:
			cell.Text, cell.Link = string(row.Outcome), ""
		}
		v.Cells = append(v.Cells, cell)
	}
	v.Took = seconds(took)
	return v
}

// sign tells outcomes apart without colour.
func sign(o Outcome) string {
	switch o {
	case Passed:
		return "✓"
	case Failed:
		return "✗"
	case Blocked:
		return "⊘"
	default:
		return "–"
	}
}

func anchor(row Row) string {
	return "failure-" + strings.ReplaceAll(row.Phase, " ", "_") + "-" + strings.ReplaceAll(row.Project, " ", "_")
}

func failureOf(row Row) failureView {
	f := row.failure()
	v := failureView{
		ID: anchor(row), Phase: row.Phase, Project: row.Project, Headline: headline(row), Took: seconds(row.Duration),
		Log: row.Log, Failure: f, Consequence: row.Consequence,
	}
	var lines []string
	for _, line := range f.Tail {
		lines = append(lines, visible(strings.TrimRight(line, "\r\n")))
	}
	v.Tail = strings.Join(lines, "\n")
	return v
}

func evidenceOf(e Evidence) evidenceView {
	v := evidenceView{Evidence: e}
	for i := range max(len(e.Before), len(e.After)) {
		var pair processPair
		if i < len(e.Before) {
			pair.Before = &e.Before[i]
		}
		if i < len(e.After) {
			pair.After = &e.After[i]
		}
		v.Rows = append(v.Rows, pair)
	}
	return v
}

func (r Report) kindViews() []kindView {
	var longest time.Duration
	for _, k := range r.byKind() {
		longest = max(longest, k.Duration)
	}
	var all []kindView
	for _, k := range r.byKind() {
		v := kindView{Kind: k.Kind, Took: seconds(k.Duration)}
		if longest > 0 {
			v.Percent = 100 * float64(k.Duration) / float64(longest)
		}
		rest := k.Duration
		v.Parts, v.Count = r.longest(k.Kind)
		for _, part := range v.Parts {
			rest -= part.Duration
		}
		v.Rest, v.RestTook = v.Count-len(v.Parts), seconds(rest)
		all = append(all, v)
	}
	return all
}

// mostParts is how many stretches of time of a kind are worth a line.
const mostParts = 200

// longest are the longest timings of the kind, at most mostParts, the longest first;
// count is how many there are.
func (r Report) longest(kind Kind) (parts []Timing, count int) {
	for t := range r.EachTiming() {
		if t.Kind != kind {
			continue
		}
		count++
		// Behind those that took as long.
		place := sort.Search(len(parts), func(i int) bool { return parts[i].Duration < t.Duration })
		if place < mostParts {
			parts = slices.Insert(parts[:min(len(parts), mostParts-1)], place, t)
		}
	}
	return parts, count
}

// Took is the duration as people read it.
func (t Timing) Took() string { return seconds(t.Duration) }

// Place is phase/project, as far as the timing has them.
func (t Timing) Place() string { return strings.Trim(t.Phase+"/"+t.Project, "/") }

func (r Report) packages() []packageView {
	names := map[string]string{}
	for _, packages := range []map[string]string{r.Base.Packages, r.Target.Packages} {
		for name := range packages {
			names[name] = name
		}
	}
	var all []packageView
	for _, name := range sorted(names) {
		p := packageView{Name: name, Base: r.Base.Packages[name], Target: r.Target.Packages[name]}
		p.Changed = p.Base != p.Target
		all = append(all, p)
	}
	return all
}
