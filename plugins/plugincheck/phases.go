package plugincheck

import (
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"grenade/plugins"
)

// phases are the words that resources.sh is called with, in their order.
func phases() []string {
	return []string{"early_create", "create", "verify", "verify_noapi", "destroy"}
}

func isPhase(word string) bool { return slices.Contains(phases(), word) }

// checkPhases looks at what resources.sh does in each phase.
func checkPhases(s *script) {
	found, at := s.branches()
	if at == nil {
		return // it has a way of its own, and only a run can tell
	}
	for _, branch := range found {
		checkPattern(s, branch)
	}
	makes := false
	var idle, missing []string
	place := at
	for _, phase := range phases() {
		branch, handled := handling(found, phase)
		busy := handled && !s.idle(branch.does)
		switch {
		case busy && strings.HasSuffix(phase, "create"):
			makes = makes || s.makes(branch.does, map[string]bool{})
		case busy || phase == "early_create": // which few plugins need
		case phase == "destroy" && makes && !handled:
			s.report(ruleNoDestroy, at, "create makes something, and destroy is not handled")
		case phase == "destroy" && makes:
			s.report(ruleNoDestroy, branch.at, "create makes something, and destroy does nothing")
		case handled:
			if len(idle) == 0 {
				place = branch.at
			}
			idle = append(idle, phase)
		default:
			missing = append(missing, phase)
		}
	}
	var said []string
	if len(idle) > 0 {
		said = append(said, verb(idle, "does nothing", "do nothing"))
	}
	if len(missing) > 0 {
		said = append(said, verb(missing, "is not handled", "are not handled"))
	}
	if len(said) > 0 {
		s.report(ruleIdlePhase, place, "%s", strings.Join(said, "; "))
	}
}

// makes tells whether commands make things that somebody must delete: whether they, or
// functions of the same file that they call, save something or ask a client to create
// it. What a library's function does is not known.
func (s *script) makes(statements []*syntax.Stmt, entered map[string]bool) bool {
	found := false
	for _, statement := range statements {
		calls(statement, func(call *syntax.CallExpr, name string, _ []syntax.Node) {
			if function := s.functions[name]; function != nil && !entered[name] {
				entered[name] = true
				found = found || s.makes([]*syntax.Stmt{function.Body}, entered)
			}
			found = found || name == "resource_save" || slices.ContainsFunc(call.Args[1:], func(word *syntax.Word) bool {
				text, _ := literal(word)
				return text == "create" || strings.HasSuffix(text, "-create") || text == "upload" || text == "boot" || text == "import"
			})
		})
	}
	return found
}

// verb makes "create, verify do nothing" of phases.
func verb(names []string, one, many string) string {
	if len(names) == 1 {
		return names[0] + " " + one
	}
	return strings.Join(names, ", ") + " " + many
}

// checkPattern looks for words that no run passes. force_destroy is such a word, too;
// upstream's plugins have it for use by hand.
func checkPattern(s *script, b branch) {
	if strings.ContainsAny(b.pattern, "*?[") || isPhase(b.pattern) || b.pattern == "force_destroy" {
		return
	}
	for _, phase := range phases() {
		if plugins.Distance(b.pattern, phase) <= 2 {
			s.report(ruleUnknownPhase, b.at, "no run passes %q: did its author mean %s?", b.pattern, phase)
			return
		}
	}
	s.report(ruleUnknownPhase, b.at, "no run passes %q", b.pattern)
}

// checkPresence looks for scripts that are not there, or do nothing.
func checkPresence(dir string, scripts []*script) ([]Finding, error) {
	var findings []Finding
	for _, name := range []string{"upgrade.sh", "shutdown.sh", "resources.sh"} {
		path := plugins.Plugin{Dir: dir}.Script(name)
		state, err := plugins.StateOf(path)
		if err != nil {
			return nil, fmt.Errorf("plugin %s: %w", dir, err)
		}
		if state != plugins.Present {
			findings = append(findings, Finding{File: path, Rule: ruleIdleScript, Message: fmt.Sprintf("%s is %s", name, state)})
			continue
		}
		for _, s := range scripts {
			// What resources.sh does depends on the phase.
			if s.name == name && name != "resources.sh" && s.idle(s.file.Stmts) {
				findings = append(findings, Finding{File: path, Rule: ruleIdleScript, Message: name + " does nothing"})
			}
		}
	}
	return findings, nil
}
