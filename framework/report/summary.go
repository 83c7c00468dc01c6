package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// SummaryLines is the most that Summary has: Zuul's build page shows the last 42
// lines of a failed task.
const SummaryLines = 40

// summaryWidth is where a line of the summary is cut, in runes. Lines that name
// failures are not.
const summaryWidth = 160

// Summary is the run in at most SummaryLines lines; the last holds verdict and
// exit code. When there is too much to tell, failures stay and the rest goes.
func (r Report) Summary() string {
	r = r.redacted()
	first := cut(visible(fmt.Sprintf("Grenade %s -> %s  run %s", side(r.Base), side(r.Target), r.RunID)), summaryWidth)
	room := SummaryLines - 2 // first and last
	failures := r.failureLines(room)
	room -= len(failures)

	// By worth: what does not fit whole is left out, but for lists, which are cut.
	facts := fit(r.factLines(), &room)
	phases := r.phaseLines()
	if len(phases) > room {
		phases = nil
	}
	room -= len(phases)
	failures = r.withDetails(failures, &room)
	skipped := cutList(r.skippedLines(), &room)
	notes := cutList(r.noteLines(), &room)

	var lines []string
	for _, part := range [][]string{{first}, phases, skipped, notes, failures, facts, {r.lastLine()}} {
		lines = append(lines, part...)
	}
	return strings.Join(lines, "\n") + "\n"
}

func side(s Side) string {
	if s.Suite == "" {
		return s.Release
	}
	return fmt.Sprintf("%s (%s)", s.Release, s.Suite)
}

func (r Report) lastLine() string {
	code, reason := ExitCode(r)
	line := fmt.Sprintf("grenade: %s exit %d  %s -> %s  %s  in %s",
		Verdict(code), code, r.Base.Release, r.Target.Release, tally(r.Counts()), seconds(r.elapsed()))
	if failures := r.Failures(); reason == "" && len(failures) > 0 {
		reason = "first: " + failures[0].Name()
	}
	if reason != "" {
		line += "  (" + reason + ")"
	}
	return visible(line)
}

// failureLines names every failure. When they are more than room, the first have
// a line each and the others share what is left.
func (r Report) failureLines(room int) []string {
	failures := r.Failures()
	line := func(row Row) string {
		return cut("FAILED  "+plain(row.Name(), 0)+"  "+plain(headline(row), 0), summaryWidth)
	}
	var lines []string
	if len(failures) <= room {
		for _, row := range failures {
			lines = append(lines, line(row))
		}
		return lines
	}
	own := room / 2
	for _, row := range failures[:own] {
		lines = append(lines, line(row))
	}
	rest := failures[own:]
	perLine := (len(rest) + room - own - 1) / (room - own)
	for len(rest) > 0 {
		var names []string
		for _, row := range rest[:min(perLine, len(rest))] {
			names = append(names, plain(row.Name(), 0))
		}
		lines = append(lines, "FAILED  "+strings.Join(names, ", "))
		rest = rest[len(names):]
	}
	return lines
}

// withDetails adds what was seen and where the log is below each failure, if
// there is room for that below all of them.
func (r Report) withDetails(lines []string, room *int) []string {
	failures := r.Failures()
	if len(lines) != len(failures) || len(failures) > *room {
		return lines
	}
	var detailed []string
	for i, row := range failures {
		detailed = append(detailed, lines[i])
		f := row.failure()
		log := f.Log
		if log == "" {
			log = row.Log
		}
		var parts []string
		if f.Seen != "" {
			parts = append(parts, "seen last: "+plain(f.Seen, summaryWidth/2))
		}
		if log != "" {
			parts = append(parts, "log: "+plain(log, 0))
		}
		if len(parts) > 0 {
			detailed = append(detailed, "        "+strings.Join(parts, "  "))
			*room--
		}
	}
	return detailed
}

// firstColumns is how wide phaseLines' table is without the projects, in runes.
const firstColumns = 70

// phaseLines is a table with a line per phase: its counts, how long it took, and
// how long each project's row took, if there is room for that. Rows that ran side
// by side count once for the phase.
func (r Report) phaseLines() []string {
	columns := r.projects()
	format := "  %-24s  %-32s %8s"
	width := 9
	if firstColumns+(width+1)*len(columns) > summaryWidth {
		width = 6
	}
	if firstColumns+(width+1)*len(columns) > summaryWidth || len(columns) < 2 {
		columns = nil
	}
	lines := []string{fmt.Sprintf(format, "phase", "rows", "time")}
	for _, column := range columns {
		lines[0] += fmt.Sprintf(" %*s", width, plain(column, width))
	}
	for _, phase := range r.phases() {
		n := map[Outcome]int{}
		var spans []Timing
		took := map[string]time.Duration{}
		for row := range of(r.EachRow(), phase) {
			n[row.Outcome]++
			spans = append(spans, Timing{Started: row.Started, Duration: row.Duration})
			took[row.Project] = row.Duration
		}
		line := fmt.Sprintf(format, plain(phase, 24), tally(n), seconds(covered(spans)))
		for _, column := range columns {
			cell := ""
			if took[column] > 0 {
				cell = fmt.Sprintf("%.1f", took[column].Seconds())
			}
			line += fmt.Sprintf(" %*s", width, cell)
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return lines
}

// skipped are rows that did not run, for one reason.
type skipped struct {
	Outcome Outcome
	Reason  string
	Names   []string
}

// skips groups what did not run by outcome and reason, in the plan's order.
func (r Report) skips() []skipped {
	var groups []skipped
	for row := range r.EachRow() {
		if row.Outcome == Passed || row.Outcome == Failed {
			continue
		}
		reason := row.Reason
		if reason == "" {
			reason = "no reason given"
		}
		i := slices.IndexFunc(groups, func(g skipped) bool { return g.Outcome == row.Outcome && g.Reason == reason })
		if i < 0 {
			i = len(groups)
			groups = append(groups, skipped{Outcome: row.Outcome, Reason: reason})
		}
		groups[i].Names = append(groups[i].Names, row.Name())
	}
	return groups
}

func (r Report) skippedLines() []string {
	var lines []string
	for _, g := range r.skips() {
		text := fmt.Sprintf("%s (%s): ", g.Outcome, plain(g.Reason, summaryWidth/2))
		lines = append(lines, plain(text+shorten(g.Names, summaryWidth-len([]rune(text))), summaryWidth))
	}
	return lines
}

// shorten joins names, and counts those that do not fit.
func shorten(names []string, width int) string {
	text := ""
	for i, name := range names {
		more := fmt.Sprintf(" and %d more", len(names)-i)
		if i > 0 && len([]rune(text))+len([]rune(name))+2+len(more) > width {
			return text + more
		}
		if i > 0 {
			text += ", "
		}
		text += name
	}
	return text
}

func (r Report) noteLines() []string {
	var lines []string
	for _, note := range r.Notes {
		lines = append(lines, plain("note: "+strings.ReplaceAll(note, "\n", "; "), summaryWidth))
	}
	return lines
}

func (r Report) factLines() []string {
	var lines []string
	if proven, all := r.proof(); all > 0 {
		line := fmt.Sprintf("proof of upgrade: %d of %d units run the target's code", proven, all)
		var without []string
		for _, e := range r.Evidence {
			if !e.Upgraded {
				without = append(without, e.Unit)
			}
		}
		if len(without) > 0 {
			line += "; without: " + shorten(without, summaryWidth-len(line)-12)
		}
		lines = append(lines, line)
	}
	if len(r.Plugins) > 0 {
		var parts []string
		for _, p := range r.Plugins {
			parts = append(parts, fmt.Sprintf("%s %s", p.Name, p.Version()))
		}
		line := "plugins: "
		lines = append(lines, plain(line+shorten(parts, summaryWidth-len(line)), summaryWidth))
	}
	if spent := r.byKind(); len(spent) > 0 {
		var parts []string
		for _, k := range spent {
			parts = append(parts, fmt.Sprintf("%s %s", k.Kind, seconds(k.Duration)))
		}
		lines = append(lines, "time: "+strings.Join(parts, ", "))
	}
	if len(r.Continuity) > 0 {
		sent, lost, longest := 0, 0, time.Duration(0)
		for _, each := range r.Continuity {
			sent, lost, longest = sent+each.Sent, lost+each.Lost, max(longest, each.Longest())
		}
		lines = append(lines, fmt.Sprintf("data plane: %d of %d pings to %d addresses answered from shutdown to verify; longest silence %.1f s",
			sent-lost, sent, len(r.Continuity), longest.Seconds()))
	}
	if r.PeakMemory > 0 {
		lines = append(lines, fmt.Sprintf("memory: at most %.1f GB more than before the run", float64(r.PeakMemory)/1e9))
	}
	return lines
}

// byKind sums timings, in the order of the kinds; kinds we do not know follow.
func (r Report) byKind() []Timing {
	sums := map[Kind]time.Duration{}
	order := kinds()
	for t := range r.EachTiming() {
		known := false
		for _, k := range order {
			known = known || k == t.Kind
		}
		if !known {
			order = append(order, t.Kind)
		}
		sums[t.Kind] += t.Duration
	}
	var all []Timing
	for _, k := range order {
		if d, spent := sums[k]; spent {
			all = append(all, Timing{Kind: k, Duration: d})
		}
	}
	return all
}

func fit(lines []string, room *int) []string {
	if len(lines) > *room {
		return nil
	}
	*room -= len(lines)
	return lines
}

// cutList takes as many lines as there is room for, the last of them saying how
// many are left out.
func cutList(lines []string, room *int) []string {
	if len(lines) > *room {
		if *room < 2 {
			return nil
		}
		left := len(lines) - (*room - 1)
		lines = append(append([]string(nil), lines[:*room-1]...), fmt.Sprintf("… and %d more such lines: see %s", left, HTMLFile))
	}
	*room -= len(lines)
	return lines
}
