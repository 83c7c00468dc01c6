package plugincheck

import (
	"mvdan.cc/sh/v3/syntax"
)

// checkLoops looks for while and until loops without a limit.
func checkLoops(s *script) {
	walk(s.file, func(node syntax.Node, _ []syntax.Node) {
		loop, ok := node.(*syntax.WhileClause)
		if ok && !s.ends(loop) {
			s.report(ruleEndless, loop, "this loop has no limit: it counts nothing, and looks at no clock")
		}
	})
}

// ends tells whether a loop counts, looks at the clock, or uses something up, so that
// it ends although what it waits for never comes.
func (s *script) ends(loop *syntax.WhileClause) bool {
	ends := false
	var counted []string
	walk(loop, func(node syntax.Node, _ []syntax.Node) {
		switch node := node.(type) {
		case *syntax.ParamExp:
			ends = ends || node.Param != nil && (node.Param.Value == "SECONDS" || node.Param.Value == "EPOCHSECONDS" || node.Param.Value == "EPOCHREALTIME")
		case *syntax.Word:
			ends = ends || node.Lit() == "SECONDS"
		case *syntax.CallExpr:
			if len(node.Args) > 0 {
				name, _ := literal(node.Args[0])
				// Input ends, and so do arguments; a command under timeout is no limit of the loop.
				ends = ends || name == "read" || name == "shift" || name == "date" || name == "getopts"
			}
			counted = append(counted, s.counters(node)...)
		case *syntax.DeclClause, *syntax.ArithmCmd, *syntax.LetClause, *syntax.ArithmExp:
			counted = append(counted, s.counters(node)...)
		}
	})
	for _, name := range counted {
		ends = ends || comparedIn(loop, name)
	}
	return ends || leaves(loop)
}

// counters are the variables that a node counts up or down.
func (s *script) counters(node syntax.Node) (names []string) {
	add := func(expression syntax.ArithmExpr) {
		if word, ok := expression.(*syntax.Word); ok {
			if name := word.Lit(); name != "" {
				names = append(names, name)
			} else if name := parameter(word); name != "" {
				names = append(names, name)
			}
		}
	}
	if call, ok := node.(*syntax.CallExpr); ok {
		for _, assign := range call.Assigns {
			if assign.Name != nil && assign.Value != nil && mentions(assign.Value, assign.Name.Value) {
				names = append(names, assign.Name.Value)
			}
		}
		return names
	}
	walk(node, func(inner syntax.Node, _ []syntax.Node) {
		switch inner := inner.(type) {
		case *syntax.UnaryArithm:
			if inner.Op == syntax.Inc || inner.Op == syntax.Dec {
				add(inner.X)
			}
		case *syntax.BinaryArithm:
			switch inner.Op {
			case syntax.AddAssgn, syntax.SubAssgn, syntax.Assgn, syntax.MulAssgn:
				add(inner.X)
			default:
			}
		case *syntax.Assign:
			if inner.Name != nil && inner.Value != nil && mentions(inner.Value, inner.Name.Value) {
				names = append(names, inner.Name.Value)
			}
		}
	})
	return names
}

// comparedIn tells whether a loop tests a variable, in its condition or its body.
func comparedIn(loop *syntax.WhileClause, name string) bool {
	found := false
	walk(loop, func(node syntax.Node, _ []syntax.Node) {
		switch node := node.(type) {
		case *syntax.TestClause, *syntax.ArithmCmd:
			found = found || mentions(node, name)
		case *syntax.CallExpr:
			if len(node.Args) > 0 {
				called, _ := literal(node.Args[0])
				found = found || (called == "[" || called == "test") && mentions(node, name)
			}
		}
	})
	return found
}

// leaves tells whether the loop's body always comes to an end of the loop.
func leaves(loop *syntax.WhileClause) bool {
	for _, statement := range loop.Do {
		if call, ok := statement.Cmd.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			switch name, _ := literal(call.Args[0]); name {
			case "break", "return", "exit", "die":
				return true
			}
		}
	}
	return false
}
