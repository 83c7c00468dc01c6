package plugincheck

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// checkSwallowed looks for || true and the like.
func checkSwallowed(s *script) {
	walk(s.file, func(node syntax.Node, above []syntax.Node) {
		or, ok := node.(*syntax.BinaryCmd)
		if !ok || or.Op != syntax.OrStmt {
			return
		}
		// What is substituted is looked at, so it may be empty.
		if _, substituted := inside[*syntax.CmdSubst](above); substituted {
			return
		}
		with := commandOf(or.Y)
		switch strings.TrimPrefix(strings.TrimPrefix(with, "/usr"), "/bin/") {
		case "true", ":":
		default:
			return
		}
		if tried := commandOf(or.X); !mayFail(tried) && !isStop(or.X) && !assigns(or.X) {
			s.report(ruleSwallowed, or, "the exit code of %s is lost in || %s", orWords(tried), with)
		}
	})
}

// assigns tells whether a statement only keeps a command's output, which is looked at.
func assigns(statement *syntax.Stmt) bool {
	call, ok := statement.Cmd.(*syntax.CallExpr)
	return ok && len(call.Args) == 0
}

// isStop tells whether a unit is stopped: one that is not there does not run either.
func isStop(statement *syntax.Stmt) bool {
	call, ok := statement.Cmd.(*syntax.CallExpr)
	return ok && commandOf(statement) == "systemctl" && slices.ContainsFunc(call.Args, func(word *syntax.Word) bool {
		text, _ := literal(word)
		return text == "stop" || text == "disable" || text == "reset-failed"
	})
}

func orWords(name string) string {
	if name == "" {
		return "what stands before"
	}
	return name
}

// commandOf is the name of the last simple command of a statement, behind sudo; it is
// empty when bash computes it or there is no such command.
func commandOf(statement *syntax.Stmt) string {
	switch command := statement.Cmd.(type) {
	case *syntax.CallExpr:
		for _, word := range command.Args {
			name, _ := literal(word)
			if name != "sudo" {
				return name
			}
		}
	case *syntax.BinaryCmd:
		return commandOf(command.Y)
	case *syntax.TestClause:
		return "[["
	case *syntax.ArithmCmd:
		return "(("
	case *syntax.LetClause:
		return "let"
	}
	return ""
}

// mayFail tells whether a failure of the command is an answer rather than a fault.
func mayFail(name string) bool {
	switch name {
	case "grep", "egrep", "fgrep", "test", "[", "[[", "((", "let", "expr", "command", "type", "which", "hash", "kill", "pkill", "pgrep", "killall", "diff", "cmp", "read":
		return true
	}
	return false
}
