package plugincheck

import (
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// questions are ways to ask whether a command exists.
var questions = regexp.MustCompile(`\b(?:declare -[fF]|type(?: -\w+)?|command -[vV]|which|function_exists|is_function|hash) +"?([A-Za-z_][\w-]*)`)

// checkCommands looks for commands that nobody defines.
func checkCommands(s *script, r *reader) {
	if !s.runs() && s.name != "settings" || r.lost {
		return
	}
	asked := map[string]bool{}
	for _, match := range questions.FindAllStringSubmatch(s.text, -1) {
		asked[match[1]] = true
	}
	calls(s.file, func(call *syntax.CallExpr, name string, _ []syntax.Node) {
		if name == "" || strings.ContainsAny(name, "/-.") || r.words.always[name] || r.defined[name] || asked[name] {
			return
		}
		if file := r.words.somewhere[name]; file != "" {
			s.report(ruleUnknownCommand, call, "%s is defined in the tree's %s, which this script does not source", name, file)
		} else if file := r.checkout.defining(name); file != "" {
			s.report(ruleUnknownCommand, call, "%s is defined in the plugin's own %s, which this script does not source", name, file)
		} else {
			s.report(ruleUnknownCommand, call, "nothing that this script sources defines %s, and no program of that name is known", name)
		}
	})
}

// checkSources looks for files of the tree that a script sources and the tree has not.
func checkSources(s *script, r *reader) {
	calls(s.file, func(call *syntax.CallExpr, _ string, above []syntax.Node) {
		what, ok := sourcedBy(call)
		if !ok || !slices.Contains(treeVariables(), what.variable) || !r.absent[strings.TrimPrefix(what.end, "/")] {
			return
		}
		// It may have asked whether the file is there.
		_, branch := inside[*syntax.IfClause](above)
		_, list := inside[*syntax.BinaryCmd](above)
		if !branch && !list {
			s.report(ruleAbsentFile, call, "the tree has no %s", strings.TrimPrefix(what.end, "/"))
		}
	})
}
