package plugincheck

import (
	"regexp"

	"mvdan.cc/sh/v3/syntax"
)

// fixed is a directory of one side that is written out, or counted from the other.
var fixed = regexp.MustCompile(`/opt/stack/(?:old|new)\b|\.\./(?:old|new)/`)

// checkPaths looks for the sides' directories where they happen to be.
func checkPaths(s *script) {
	walk(s.file, func(node syntax.Node, _ []syntax.Node) {
		text := ""
		switch node := node.(type) {
		case *syntax.Lit:
			text = node.Value
		case *syntax.SglQuoted:
			text = node.Value
		}
		if match := fixed.FindString(text); match != "" {
			s.report(ruleFixedPath, node, "%s is where a side's directory happens to be", match)
		}
	})
}
