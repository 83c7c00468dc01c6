package plugincheck

import "mvdan.cc/sh/v3/syntax"

// checkSettings looks for what settings do to the bash that they share.
func checkSettings(s *script) {
	calls(s.file, func(call *syntax.CallExpr, name string, above []syntax.Node) {
		if inOtherShell(above) {
			return
		}
		if _, off := setsOption(call, "e", "errexit"); off {
			s.report(ruleSettings, call, "errexit is off from here on, for all settings that follow")
		}
		switch name {
		case "exit":
			if code := argument(call, 1); code == "" || code == "0" {
				s.report(ruleSettings, call, "exit ends the bash that loads all settings: return ends this file alone")
			}
		case "cd", "pushd":
			s.report(ruleSettings, call, "%s changes the directory of all settings that follow", name)
		case "devstack_localrc":
			if side := argument(call, 1); side != "" && side != "base" && side != "target" {
				s.report(ruleSettings, call, "devstack_localrc: %s is neither base nor target", side)
			}
		}
	})
}

// argument is an argument's text, empty when it is missing or computed.
func argument(call *syntax.CallExpr, at int) string {
	if at >= len(call.Args) {
		return ""
	}
	text, _ := literal(call.Args[at])
	return text
}
