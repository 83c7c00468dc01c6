package report

import (
	"fmt"
	"strings"
)

const (
	screenWidth = 200 // runes of a line that are worth showing
	screenTail  = 20  // lines of output
)

// Screen is a failure on one screen: phase, project, what was expected, what
// was seen last, the last lines of the script's output, and where all of it is.
func Screen(row Row) string {
	f := row.failure()
	var b strings.Builder
	title := fmt.Sprintf("FAILED  %s  %s  after %s", row.Phase, row.Project, seconds(row.Duration))
	if row.Consequence {
		title += "  (a consequence of an earlier failure)"
	}
	fmt.Fprintf(&b, "---- %s ----\n", cut(visible(title), screenWidth))
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-10s %s\n", name, plain(value, 3*screenWidth))
		}
	}
	field("failure", f.Message)
	field("expected", f.Expected)
	field("seen last", f.Seen)
	tail := f.Tail
	if len(tail) > screenTail {
		tail = tail[len(tail)-screenTail:]
	}
	if len(tail) > 0 {
		fmt.Fprintf(&b, "last %d lines of its output:\n", len(tail))
		for _, line := range tail {
			fmt.Fprintf(&b, "  | %s\n", cut(visible(strings.TrimRight(line, "\r\n")), screenWidth))
		}
	}
	if f.Log == "" {
		f.Log = row.Log
	}
	field("full log", f.Log)
	return b.String()
}
