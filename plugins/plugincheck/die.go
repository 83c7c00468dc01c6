package plugincheck

import (
	"regexp"

	"mvdan.cc/sh/v3/syntax"
)

// checkDie looks for die without the line that it takes first.
func checkDie(s *script) {
	calls(s.file, func(call *syntax.CallExpr, name string, _ []syntax.Node) {
		if name != "die" || s.functions["die"] != nil || len(call.Args) < 2 {
			return
		}
		text, plain := literal(call.Args[1])
		switch variable := parameter(call.Args[1]); {
		case variable == "LINENO" || plain && number.MatchString(text):
		case variable != "":
			s.report(ruleDie, call, "die is given $%s for the line: did its author mean $LINENO?", variable)
		case plain:
			s.report(ruleDie, call, "die is given the message in the line's place")
		}
	})
}

var number = regexp.MustCompile(`^[0-9]+$`)
