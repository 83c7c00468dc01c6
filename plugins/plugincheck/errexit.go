package plugincheck

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// checkErrexit looks for scripts that never switch errexit on.
func checkErrexit(s *script) {
	if strings.Contains(s.shebang, " -e") || s.everSets("e", "errexit") {
		return
	}
	if first, busy := s.firstDeed(s.file.Stmts, map[string]bool{}); busy {
		s.report(ruleNoErrexit, first, "errexit is never switched on, and from here on there is something to fail")
	}
}

// everSets tells whether the script switches an option on, in its own shell.
func (s *script) everSets(letter, name string) bool {
	found := false
	calls(s.file, func(call *syntax.CallExpr, _ string, above []syntax.Node) {
		if on, _ := setsOption(call, letter, name); on && !inOtherShell(above) {
			found = true
		}
	})
	return found
}

func inOtherShell(above []syntax.Node) bool {
	_, substituted := inside[*syntax.CmdSubst](above)
	_, nested := inside[*syntax.Subshell](above)
	return substituted || nested
}

// checkErrexitOff looks for places that switch errexit off for good.
func checkErrexitOff(s *script) {
	handlers := s.trapHandlers()
	calls(s.file, func(call *syntax.CallExpr, _ string, above []syntax.Node) {
		_, off := setsOption(call, "e", "errexit")
		if !off || inOtherShell(above) {
			return
		}
		var scope syntax.Node = s.file
		if function, ok := inside[*syntax.FuncDecl](above); ok {
			if slices.Contains(handlers, function.Name.Value) {
				return
			}
			scope = function
		}
		if item, ok := inside[*syntax.CaseItem](above); ok && !reached(item) {
			return
		}
		again := false
		calls(scope, func(later *syntax.CallExpr, _ string, _ []syntax.Node) {
			on, _ := setsOption(later, "e", "errexit")
			again = again || on && later.Pos().After(call.Pos())
		})
		if !again {
			s.report(ruleErrexitOff, call, "errexit is switched off, and nothing below switches it on again")
		}
	})
}

// trapHandlers are the functions that traps call.
func (s *script) trapHandlers() (names []string) {
	calls(s.file, func(call *syntax.CallExpr, name string, _ []syntax.Node) {
		if name == "trap" && len(call.Args) > 1 {
			handler, _ := literal(call.Args[1])
			names = append(names, strings.Fields(handler)...)
		}
	})
	return names
}

// reached tells whether a run comes to an item of a case; only force_destroy is known
// not to be.
func reached(item *syntax.CaseItem) bool {
	return slices.ContainsFunc(item.Patterns, func(pattern *syntax.Word) bool {
		text, _ := literal(pattern)
		return text != "force_destroy"
	})
}
