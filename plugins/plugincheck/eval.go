package plugincheck

import "mvdan.cc/sh/v3/syntax"

// checkEval looks for eval $(openstack … -f shell).
func checkEval(s *script) {
	calls(s.file, func(call *syntax.CallExpr, name string, _ []syntax.Node) {
		if name != "eval" {
			return
		}
		shown := false
		calls(call, func(inner *syntax.CallExpr, _ string, _ []syntax.Node) {
			for i, word := range inner.Args {
				text, _ := literal(word)
				next := ""
				if i+1 < len(inner.Args) {
					next, _ = literal(inner.Args[i+1])
				}
				shown = shown || (text == "-f" || text == "--format") && next == "shell" || text == "-fshell" || text == "--format=shell"
			}
		})
		if shown {
			s.report(ruleEval, call, "what the answer holds is run, and the command's exit code is lost")
		}
	})
}
