package plugincheck

import (
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// allowance is a comment that allows a finding, of its own line or the next.
type allowance struct {
	at   syntax.Comment
	rule string
	used bool
}

var (
	meantAllowance = regexp.MustCompile(`^\s*plugin-check:`)
	allowanceForm  = regexp.MustCompile(`^\s*plugin-check: allow ([a-z-]+): \S`)
)

// allow takes away the findings that comments of the script allow. A comment that
// names no rule, gives no reason, or allows what was not found, is a finding.
func (s *script) allow() {
	var allowances []*allowance
	walk(s.file, func(node syntax.Node, _ []syntax.Node) {
		comment, ok := node.(*syntax.Comment)
		if !ok || !meantAllowance.MatchString(comment.Text) {
			return
		}
		match := allowanceForm.FindStringSubmatch(comment.Text)
		if match == nil {
			s.report(ruleAllow, comment, "this comment allows nothing: it is not allow RULE: reason")
			return
		}
		if _, known := RuleByName(match[1]); !known {
			s.report(ruleAllow, comment, "there is no rule %s", match[1])
			return
		}
		allowances = append(allowances, &allowance{at: *comment, rule: match[1]})
	})
	s.findings = slices.DeleteFunc(s.findings, func(finding Finding) bool {
		for _, allowed := range allowances {
			if line := int(allowed.at.Pos().Line()); allowed.rule == finding.Rule && (line == finding.Line || line+1 == finding.Line) {
				allowed.used = true
				return true
			}
		}
		return false
	})
	for _, allowed := range allowances {
		if !allowed.used {
			s.report(ruleAllow, &allowed.at, "nothing to allow here: there is no finding of %s", strings.TrimSpace(allowed.rule))
		}
	}
}
