package plugincheck

import (
	"slices"

	"mvdan.cc/sh/v3/syntax"

	"grenade/plugins"
)

// checkLostInLocal looks for local x=$(command).
func checkLostInLocal(s *script) {
	walk(s.file, func(node syntax.Node, above []syntax.Node) {
		declaration, ok := node.(*syntax.DeclClause)
		if !ok || inOtherShell(above) {
			return
		}
		for _, assign := range declaration.Args {
			if assign.Value == nil || assign.Name == nil {
				continue
			}
			if name, fails := substitutesWhatFails(assign.Value); fails && !s.testedSoon(assign.Name.Value, declaration) {
				s.report(ruleLostInLocal, assign, "the exit code of %s is lost in %s %s=$(…)", orWords(name), declaration.Variant.Value, assign.Name.Value)
			}
		}
	})
}

// substitutesWhatFails returns the first command of a substitution in the word whose
// failure would be one.
func substitutesWhatFails(word *syntax.Word) (name string, fails bool) {
	calls(word, func(_ *syntax.CallExpr, called string, above []syntax.Node) {
		if _, substituted := inside[*syntax.CmdSubst](above); substituted && !fails && !talks(called) && !plugins.OnlyLooks(called) && !filters(called) {
			name, fails = called, true
		}
	})
	return name, fails
}

// filters tells whether the command only passes on what it reads, or a fact of the
// machine, and hardly ever fails.
func filters(name string) bool {
	switch name {
	case "awk", "sed", "cut", "tr", "head", "tail", "sort", "uniq", "wc", "tee", "cat", "xargs", "seq", "hostname", "uname", "whoami", "id", "nproc":
		return true
	}
	return mayFail(name)
}

// testedSoon tells whether a variable is tested within the lines after a node: then
// an empty value is noticed.
func (s *script) testedSoon(name string, after syntax.Node) bool {
	const lines = 8
	tested := false
	walk(s.file, func(node syntax.Node, _ []syntax.Node) {
		if tested || !node.Pos().After(after.Pos()) || node.Pos().Line() > after.End().Line()+lines {
			return
		}
		switch node := node.(type) {
		case *syntax.TestClause:
			tested = mentions(node, name)
		case *syntax.CaseClause:
			tested = mentions(node.Word, name)
		case *syntax.CallExpr:
			if len(node.Args) > 0 {
				called, _ := literal(node.Args[0])
				tested = (called == "[" || called == "test") && mentions(node, name)
			}
		}
	})
	return tested
}

// checkLostInPipe looks for questions to an API whose failure a filter hides.
func checkLostInPipe(s *script) {
	if s.everSets("", "pipefail") {
		return
	}
	walk(s.file, func(node syntax.Node, above []syntax.Node) {
		pipe, ok := node.(*syntax.BinaryCmd)
		if !ok || pipe.Op != syntax.Pipe && pipe.Op != syntax.PipeAll || !filters(commandOf(pipe.Y)) || mayFail(commandOf(pipe.Y)) {
			return
		}
		if first := commandOf(firstOf(pipe)); first != "openstack" || isCondition(pipe, above) {
			return
		}
		if assign, ok := inside[*syntax.Assign](above); ok && assign.Name != nil && s.testedSoon(assign.Name.Value, assign) {
			return
		}
		s.report(ruleLostInPipe, pipe, "the exit code of openstack is lost in a pipe to %s", commandOf(pipe.Y))
	})
}

// firstOf is the first command of a pipeline.
func firstOf(pipe *syntax.BinaryCmd) *syntax.Stmt {
	for {
		inner, ok := pipe.X.Cmd.(*syntax.BinaryCmd)
		if !ok {
			return pipe.X
		}
		pipe = inner
	}
}

// isCondition tells whether a command is asked rather than run: its exit code is
// looked at, or it is a part of a longer pipe.
func isCondition(node syntax.Node, above []syntax.Node) bool {
	for i := len(above) - 1; i >= 0; i-- {
		switch outer := above[i].(type) {
		case *syntax.CmdSubst, *syntax.FuncDecl:
			return false
		case *syntax.BinaryCmd:
			if outer.Op == syntax.Pipe || outer.Op == syntax.PipeAll || within(node.Pos(), outer.X) {
				return true
			}
		case *syntax.IfClause:
			return slices.ContainsFunc(outer.Cond, func(statement *syntax.Stmt) bool { return within(node.Pos(), statement) })
		}
	}
	return false
}
