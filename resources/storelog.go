package resources

import (
	"fmt"
	"strconv"
	"strings"
)

// change is one line of the store's log.
type change struct {
	drop                       bool
	section, key, owner, value string
}

// step is what counts as a whole, or not at all.
type step struct {
	changes []change
	// end is the number of lines of the log up to and including the step.
	end int
}

// history is a log as it was read.
type history struct {
	steps []step
	// lines is how many complete lines there are; settled, how many of them will
	// never mean anything else than now. The lines between are the beginning of a
	// step that somebody is writing.
	lines, settled int
}

// parseLog reads a log in the form that plugins/shell/inc/store describes. What is
// no line of that form was broken by a writer that was killed, or by two at once;
// it counts as a line and means nothing.
func parseLog(text string) history {
	var read history
	var open step
	of := 0
	for {
		line, rest, complete := strings.Cut(text, "\n")
		if !complete {
			return read // still being written
		}
		text = rest
		read.lines++
		part, parts, one, ok := parseLogLine(line)
		switch {
		case !ok:
			open = step{}
			read.settled = read.lines
			continue
		case part == 1:
			open, of = step{}, parts
			read.settled = read.lines - 1
		case part != len(open.changes)+1 || parts != of:
			// The rest of a step whose beginning nobody has seen.
			open = step{}
			read.settled = read.lines
			continue
		}
		open.changes = append(open.changes, one)
		if part == parts {
			open.end = read.lines
			read.steps = append(read.steps, open)
			open = step{}
			read.settled = read.lines
		}
	}
}

// parseLogLine takes a line apart: tab, i/n, set or drop, section, key, =owner,
// =value, a dot.
func parseLogLine(line string) (part, parts int, one change, ok bool) {
	fields := strings.Split(line, "\t")
	if len(fields) != 8 || fields[0] != "" || fields[7] != "." {
		return 0, 0, change{}, false
	}
	first, second, cut := strings.Cut(fields[1], "/")
	part, parts = counted(first), counted(second)
	if !cut || part == 0 || parts == 0 || len(fields[1]) >= 19 {
		return 0, 0, change{}, false
	}
	owner, hasOwner := strings.CutPrefix(fields[5], "=")
	value, hasValue := strings.CutPrefix(fields[6], "=")
	one = change{
		drop: fields[2] == "drop", section: decode(fields[3]), key: decode(fields[4]), owner: decode(owner), value: decode(value),
	}
	// Without a name that can come back nothing is changed, but the line counts.
	ok = hasOwner && hasValue && (one.drop || fields[2] == "set") && fields[3] != "" && fields[4] != ""
	return part, parts, one, ok
}

// counted returns a number from 1 on without leading zeros, else 0.
func counted(text string) int {
	if text == "" || text[0] < '1' || text[0] > '9' {
		return 0
	}
	for _, digit := range text {
		if digit < '0' || digit > '9' {
			return 0
		}
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return number
}

// logLines returns a step as it stands in the log.
func logLines(changes []change) string {
	var text strings.Builder
	for i, c := range changes {
		operation := "set"
		if c.drop {
			operation = "drop"
		}
		fmt.Fprintf(&text, "\t%d/%d\t%s\t%s\t%s\t=%s\t=%s\t.\n",
			i+1, len(changes), operation, encode(c.section), encode(c.key), encode(c.owner), encode(c.value))
	}
	return text.String()
}

// apply does in the file what the step says. Names that could not come back from
// it are left out.
func (s step) apply(file *iniFile) {
	for _, c := range s.changes {
		switch {
		case checkName("section", c.section) != nil || checkName("key", c.key) != nil:
		case c.drop:
			file.unset(c.section, c.key)
		default:
			file.set(c.section, c.key, c.value)
		}
	}
}
