package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// judge knows which differences are declared, and which declarations were needed.
type judge struct {
	declared []declaration
	used     []int
	compared []string
	base     string
}

func newJudge(meant []declaration, base string) *judge {
	return &judge{declared: meant, used: make([]int, len(meant)), base: base}
}

// verdict is what became of one pair.
type verdict struct {
	// undeclared are the differences that nobody has declared.
	undeclared []difference
	// by are the indices of the declarations that explain something here.
	by []int
}

// look compares the two sides of a pair.
func (j *judge) look(p pair) verdict {
	var v verdict
	var names []string
	for _, plugin := range p.plugins {
		names = append(names, plugin.name)
	}
	if p.ourSettings {
		names = append(names, ourSettings)
	}
	j.compared = append(j.compared, names...)
	for _, found := range p.differences() {
		at := slices.IndexFunc(j.declared, func(d declaration) bool { return d.explains(found, names, j.base) })
		if at < 0 {
			v.undeclared = append(v.undeclared, found)
			continue
		}
		j.used[at]++
		if !slices.Contains(v.by, at) {
			v.by = append(v.by, at)
		}
	}
	slices.Sort(v.by)
	return v
}

// unused are the declarations that explain nothing, although what they are about was
// compared.
func (j *judge) unused() []declaration {
	var all []declaration
	for i, each := range j.declared {
		if j.used[i] == 0 && each.applies(j.compared, j.base) {
			all = append(all, each)
		}
	}
	return all
}

// outcome is what is told: of each pair when it is done, and of all at the end.
type outcome struct {
	out  io.Writer
	rows []row
	red  bool
}

type row struct {
	pair    pair
	verdict verdict
}

// add tells at once what nobody has declared.
func (o *outcome) add(p pair, v verdict) {
	if len(o.rows) == 0 {
		for _, each := range p.given {
			fmt.Fprintf(o.out, "%s: commit %s of %s\n", each.name, each.commit, each.date)
		}
	}
	o.rows = append(o.rows, row{p, v})
	for _, found := range v.undeclared {
		o.red = true
		fmt.Fprintf(o.out, "\n%s: %s differs", p.name, found.about)
		if len(found.where) > 0 {
			fmt.Fprintf(o.out, " in %d scripts: %s", len(found.where), strings.Join(firstOf(found.where), ", "))
		}
		fmt.Fprintf(o.out, "\n%s\n%s\n", indented("- ", found.upstream), indented("+ ", found.ours))
	}
}

func firstOf(names []string) []string {
	const enough = 3
	if len(names) <= enough {
		return names
	}
	return append(slices.Clone(names[:enough]), "…")
}

func indented(mark, text string) string {
	return "  " + mark + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  "+mark)
}

// tell prints the table, and tells whether all is as it should be.
func (o *outcome) tell(j *judge, markdown bool) (bool, error) {
	cells := [][]string{{"plugin", "commit", "date", "settings", "local.conf", "scripts", "declared", "undeclared", "ended early"}}
	for _, each := range o.rows {
		commit, date := "", ""
		if len(each.pair.plugins) == 1 {
			commit, date = each.pair.plugins[0].commit, each.pair.plugins[0].date
		}
		cells = append(cells, []string{
			each.pair.name, commit, date, each.state(j, "projects", "databases", "plugin directory", "variable"), each.state(j, "local.conf"),
			fmt.Sprint(len(each.pair.upstream.calls)), ranges(each.verdict.by), fmt.Sprint(len(each.verdict.undeclared)), each.early(),
		})
	}
	fmt.Fprintln(o.out)
	if err := writeTable(o.out, cells, markdown); err != nil {
		return false, err
	}
	cells = [][]string{{"no.", "what differs", "why"}}
	for i, each := range j.declared {
		if j.used[i] > 0 {
			cells = append(cells, []string{fmt.Sprint(i + 1), each.name(), each.reason})
		}
	}
	fmt.Fprintln(o.out)
	if err := writeTable(o.out, cells, markdown); err != nil {
		return false, err
	}
	for _, each := range j.unused() {
		o.red = true
		fmt.Fprintf(o.out, "declared, and not found: %s: %s\n", each.name(), each.reason)
	}
	return !o.red, nil
}

func writeTable(out io.Writer, cells [][]string, markdown bool) error {
	if markdown {
		for i, line := range cells {
			fmt.Fprint(out, "|")
			for _, cell := range line {
				if cell == "" {
					cell = "–"
				}
				fmt.Fprintf(out, " %s |", strings.ReplaceAll(cell, "|", `\|`))
			}
			fmt.Fprintln(out)
			if i == 0 {
				fmt.Fprintf(out, "|%s\n", strings.Repeat(" --- |", len(line)))
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, line := range cells {
		fmt.Fprintln(table, strings.Join(line, "\t"))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	return nil
}

// ranges writes the numbers of declarations, which begin with 1, like "1-3, 5".
func ranges(indices []int) string {
	var all []string
	for from := 0; from < len(indices); {
		to := from
		for to+1 < len(indices) && indices[to+1] == indices[to]+1 {
			to++
		}
		text := fmt.Sprint(indices[from] + 1)
		if to > from {
			text += fmt.Sprintf("-%d", indices[to]+1)
		}
		all = append(all, text)
		from = to + 1
	}
	return strings.Join(all, ", ")
}

// state is what the differences about these things come to.
func (r row) state(j *judge, about ...string) string {
	isAbout := func(what string) bool {
		return slices.ContainsFunc(about, func(prefix string) bool { return strings.HasPrefix(what, prefix) })
	}
	var by []int
	for _, index := range r.verdict.by {
		if isAbout(j.declared[index].about) {
			by = append(by, index)
		}
	}
	switch {
	case len(r.pair.upstream.projects)+len(r.pair.ours.projects) == 0:
		return "" // neither has come so far
	case slices.ContainsFunc(r.verdict.undeclared, func(d difference) bool { return isAbout(d.about) }):
		return "DIFFERS"
	case len(by) > 0:
		return "same but for " + ranges(by)
	default:
		return "same"
	}
}

// early names the sides that did not come to their end.
func (r row) early() string {
	switch {
	case r.pair.upstream.failure != "" && r.pair.ours.failure != "":
		return "both"
	case r.pair.upstream.failure != "":
		return "upstream"
	case r.pair.ours.failure != "":
		return "ours"
	default:
		return ""
	}
}
