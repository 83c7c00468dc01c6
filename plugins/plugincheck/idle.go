package plugincheck

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"grenade/plugins"
)

// idle tells whether commands do nothing: whether they only look at variables, talk,
// or call functions of the same file that do no more. It is plugins.NoOp, told from
// the text: what is computed counts as something.
func (s *script) idle(statements []*syntax.Stmt) bool {
	_, busy := s.firstDeed(statements, map[string]bool{})
	return !busy
}

// firstDeed is the first command that is more than a no-op; ok is false when there
// is none. The functions in entered have been looked at, and did nothing.
func (s *script) firstDeed(statements []*syntax.Stmt, entered map[string]bool) (deed syntax.Node, ok bool) {
	for _, statement := range statements {
		walk(statement, func(node syntax.Node, above []syntax.Node) {
			if ok {
				return
			}
			// A function does something where it is called.
			if _, declared := inside[*syntax.FuncDecl](above); declared {
				return
			}
			if s.isDeed(node, entered) {
				deed, ok = node, true
			}
		})
		if ok {
			return deed, true
		}
	}
	return nil, false
}

func (s *script) isDeed(node syntax.Node, entered map[string]bool) bool {
	switch node := node.(type) {
	case *syntax.Redirect:
		return writes(node)
	case *syntax.CallExpr:
		return len(node.Args) > 0 && s.isBusyCall(node, entered)
	case *syntax.CoprocClause:
		return true
	}
	return false
}

func (s *script) isBusyCall(call *syntax.CallExpr, entered map[string]bool) bool {
	name, plain := literal(call.Args[0])
	function := s.functions[name]
	switch {
	case !plain:
		return true
	case function != nil && entered[name]:
		return false // it was looked at, or calls itself
	case function != nil:
		entered[name] = true
		_, busy := s.firstDeed([]*syntax.Stmt{function.Body}, entered)
		return busy
	case isSource(name):
		return len(call.Args) > 2 // "source plugin.sh stack install" installs
	case name == "eval":
		return true
	}
	return !talks(name) && !plugins.OnlyLooks(name)
}

func talks(name string) bool { return name == "echo" || name == "printf" || name == "echo_summary" }

func isSource(name string) bool { return name == "source" || name == "." || name == "source_quiet" }

// writes tells whether a redirection may write a file.
func writes(redirect *syntax.Redirect) bool {
	switch redirect.Op {
	case syntax.RdrOut, syntax.AppOut, syntax.RdrAll, syntax.AppAll, syntax.RdrInOut:
		target, plain := literal(redirect.Word)
		return !plain || !strings.HasPrefix(target, "/dev/")
	default:
		return false
	}
}
