package plugincheck

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// checkVariables looks for variables that nothing sets: those with a small first
// letter, which no environment and no localrc has, and those that begin the path of
// what is sourced.
func checkVariables(s *script, r *reader) {
	if !s.runs() || r.lost || s.setsUnseen() {
		return
	}
	told := map[string]bool{}
	unset := func(name string) bool { return !r.set[name] && !told[name] }
	walk(s.file, func(node syntax.Node, _ []syntax.Node) {
		switch node := node.(type) {
		case *syntax.ParamExp:
			name := node.Param.Value
			// With a default it may be unset.
			if first := name[0]; first >= 'a' && first <= 'z' && node.Exp == nil && !node.Excl && unset(name) {
				told[name] = true
				s.report(ruleUnset, node, "nothing sets %s", name)
			}
		case *syntax.CallExpr:
			if len(node.Args) == 0 {
				return
			}
			what, ok := sourcedBy(node)
			if ok && what.variable != "" && strings.HasPrefix(what.end, "/") && unset(what.variable) && !r.words.variables[what.variable] {
				told[what.variable] = true
				s.report(ruleUnset, node, "nothing sets %s, so that %s is sourced", what.variable, what.end)
			}
		}
	})
}

// setsUnseen tells whether the script sets variables whose names its text does not
// tell: all fields of an answer, or what a computed text holds.
func (s *script) setsUnseen() bool {
	unseen := false
	calls(s.file, func(call *syntax.CallExpr, name string, _ []syntax.Node) {
		if name == "eval" {
			unseen = unseen || len(shownColumns(call)) == 0
		}
	})
	return unseen
}

// shownColumns are the columns that an eval of openstack … -f shell -c NAME sets.
func shownColumns(eval *syntax.CallExpr) (names []string) {
	calls(eval, func(call *syntax.CallExpr, _ string, _ []syntax.Node) {
		for i := range call.Args {
			if flag := argument(call, i); flag == "-c" || flag == "--column" {
				// The client writes "Status" as status.
				names = append(names, strings.ReplaceAll(strings.ToLower(argument(call, i+1)), " ", "_"))
			}
		}
	})
	return names
}

// assignedBy are the variables that a node alone sets.
func assignedBy(node syntax.Node) (names []string) {
	switch node := node.(type) {
	case *syntax.Assign:
		if node.Name != nil {
			names = append(names, node.Name.Value)
		}
	case *syntax.WordIter:
		names = append(names, node.Name.Value)
	case *syntax.BinaryArithm:
		if word, ok := node.X.(*syntax.Word); ok {
			names = append(names, word.Lit())
		}
	case *syntax.UnaryArithm:
		if word, ok := node.X.(*syntax.Word); ok {
			names = append(names, word.Lit())
		}
	case *syntax.ParamExp:
		if node.Exp != nil && (node.Exp.Op == syntax.AssignUnset || node.Exp.Op == syntax.AssignUnsetOrNull) {
			names = append(names, node.Param.Value)
		}
	case *syntax.Redirect:
		if node.N != nil {
			names = append(names, strings.Trim(node.N.Value, "{}"))
		}
	case *syntax.CallExpr:
		names = assignedByCall(node)
	}
	return names
}

func assignedByCall(call *syntax.CallExpr) (names []string) {
	switch argument(call, 0) {
	case "read", "mapfile", "readarray", "getopts", "printf", "unset", "trueorfalse":
		for i := range call.Args[min(1, len(call.Args)):] {
			names = append(names, argument(call, i+1))
		}
	case "eval":
		names = shownColumns(call)
	}
	return names
}
