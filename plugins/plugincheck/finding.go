package plugincheck

import (
	"cmp"
	"fmt"
	"slices"
)

// Finding is one thing to change in a plugin.
type Finding struct {
	File string
	Line int // 0: the file as a whole
	// Rule is the name of the rule (Rules), which says why and what to do.
	Rule string
	// Message is what was found here, one sentence.
	Message string
}

// Place is where it was found, in the form that editors understand.
func (f Finding) Place() string {
	if f.Line == 0 {
		return f.File
	}
	return fmt.Sprintf("%s:%d", f.File, f.Line)
}

// String is one line: place, rule, message.
func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Place(), f.Rule, f.Message) }

// sorted puts findings into the order of their places, each once.
func sorted(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(findings)
}
