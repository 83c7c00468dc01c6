package plugincheck

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// sourced is what a call of source reads.
type sourced struct {
	// variable is the one that the path begins with, empty when it begins otherwise.
	variable string
	// end is the rest, a pattern: what bash computes is *.
	end string
}

// sourcedBy tells what a call of source reads.
func sourcedBy(call *syntax.CallExpr) (what sourced, ok bool) {
	name, _ := literal(call.Args[0])
	if !isSource(name) || len(call.Args) < 2 {
		return sourced{}, false
	}
	parts := call.Args[1].Parts
	if quoted, ok := parts[0].(*syntax.DblQuoted); ok {
		parts = append(slices.Clone(quoted.Parts), parts[1:]...)
	}
	var end strings.Builder
	for i, part := range parts {
		switch part := part.(type) {
		case *syntax.Lit:
			end.WriteString(part.Value)
		case *syntax.SglQuoted:
			end.WriteString(part.Value)
		case *syntax.ParamExp:
			if i == 0 {
				what.variable = part.Param.Value
				continue
			}
			end.WriteString("*")
		case *syntax.ProcSubst:
			return sourced{}, false // text that is made, settings as a rule
		default:
			if i > 0 {
				end.WriteString("*")
			}
		}
	}
	what.end = end.String()
	return what, what.end != "/dev/null"
}
