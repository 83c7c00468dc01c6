package plugincheck

import (
	"path"
	"slices"

	"mvdan.cc/sh/v3/syntax"
)

// branch is what resources.sh does for a word that it is called with.
type branch struct {
	// pattern is the word, or a pattern of case.
	pattern string
	at      syntax.Node
	does    []*syntax.Stmt
}

// branches finds how the script tells phases apart: a case of its first argument, a
// test of it, or a call of the function that it names. There are none when it does so
// in another way. at is where that is.
func (s *script) branches() (found []branch, at syntax.Node) {
	names := s.phaseVariables()
	mains := s.mains()
	walk(s.file, func(node syntax.Node, above []syntax.Node) {
		// Elsewhere $1 is the function's own.
		if function, ok := inside[*syntax.FuncDecl](above); ok && !slices.Contains(mains, function.Name.Value) {
			return
		}
		more := []branch(nil)
		switch node := node.(type) {
		case *syntax.CaseClause:
			if slices.Contains(names, parameter(node.Word)) {
				more = ofCase(node)
			}
		case *syntax.IfClause:
			more = ofTest(node, names)
		case *syntax.CallExpr:
			if len(node.Args) > 0 && passesArguments(node.Args[0], names) {
				more = s.ofFunctions()
			}
		}
		if len(more) > 0 && at == nil {
			at = node
		}
		found = append(found, more...)
	})
	return found, at
}

// phaseVariables are the names under which the script knows its first argument.
func (s *script) phaseVariables() []string {
	names := []string{"1"}
	walk(s.file, func(node syntax.Node, _ []syntax.Node) {
		if assign, ok := node.(*syntax.Assign); ok && assign.Name != nil && assign.Value != nil && parameter(assign.Value) == "1" {
			names = append(names, assign.Name.Value)
		}
	})
	return names
}

// mains are the functions that the script hands its arguments to.
func (s *script) mains() (names []string) {
	calls(s.file, func(call *syntax.CallExpr, name string, above []syntax.Node) {
		_, nested := inside[*syntax.FuncDecl](above)
		if !nested && s.functions[name] != nil && !isPhase(name) && len(call.Args) > 1 && passesArguments(call.Args[1], []string{"1"}) {
			names = append(names, name)
		}
	})
	return names
}

// passesArguments tells whether a word is all arguments, or one of names.
func passesArguments(word *syntax.Word, names []string) bool {
	name := parameter(word)
	return name == "@" || name == "*" || slices.Contains(names, name)
}

func ofCase(clause *syntax.CaseClause) (found []branch) {
	for _, item := range clause.Items {
		for _, pattern := range item.Patterns {
			if text, plain := literal(pattern); plain {
				found = append(found, branch{pattern: text, at: item, does: item.Stmts})
			}
		}
	}
	return found
}

// ofTest reads if [[ $1 == create ]].
func ofTest(clause *syntax.IfClause, names []string) (found []branch) {
	for _, condition := range clause.Cond {
		if !slices.ContainsFunc(names, func(name string) bool { return mentions(condition, name) }) {
			continue
		}
		walk(condition, func(node syntax.Node, _ []syntax.Node) {
			if word, ok := node.(*syntax.Word); ok {
				if text, plain := literal(word); plain && isPhase(text) {
					found = append(found, branch{pattern: text, at: clause, does: clause.Then})
				}
			}
		})
	}
	return found
}

// ofFunctions is for a script that calls "$1".
func (s *script) ofFunctions() (found []branch) {
	for _, phase := range phases() {
		if function := s.functions[phase]; function != nil {
			found = append(found, branch{pattern: phase, at: function, does: []*syntax.Stmt{function.Body}})
		}
	}
	return found
}

// handling returns what is done for a phase; ok is false when nothing is.
func handling(found []branch, phase string) (does branch, ok bool) {
	at := slices.IndexFunc(found, func(b branch) bool {
		matched, err := path.Match(b.pattern, phase)
		return err == nil && matched
	})
	if at < 0 {
		return branch{}, false
	}
	return found[at], true
}
