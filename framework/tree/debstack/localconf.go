package debstack

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"grenade/framework/config"
	"grenade/framework/tree"
	"grenade/framework/tree/localconf"
)

// Setting is one NAME=value of a localrc.
type Setting struct{ Name, Value string }

// additions names what only adds up: everybody may say more of it.
func additions() []string { return []string{"ENABLED_SERVICES"} }

// composeLocalConf makes a side's local.conf: our settings, over them the user's files, and what plugins add. The cloud
// works with nothing else than most of our settings (passwords, addresses, directories), so what somebody else has
// assigned to one of them is assigned again at the end; overruled says so, in a sentence for each.
func composeLocalConf(settings []Setting, user []config.File, added []tree.LocalrcLine) (text string, overruled []string, err error) {
	var defaults strings.Builder
	for _, s := range settings {
		defaults.WriteString(s.line())
	}
	conf, err := localconf.Compose(localconf.Input{Defaults: localconf.FromLocalrc(defaults.String()), User: user, Added: added})
	if err != nil {
		return "", nil, err
	}
	for _, s := range settings {
		if slices.Contains(additions(), s.Name) {
			continue
		}
		if who := whoAssigns(s.Name, user, added); who != "" {
			overruled = append(overruled, fmt.Sprintf("%s sets %s, which is the harness's to set: its own value stands", who, s.Name))
			conf.AddLocalrc("# The harness's.\n" + s.line())
		}
	}
	return conf.String(), overruled, nil
}

func (s Setting) line() string { return s.Name + "=" + shellQuote(s.Value) + "\n" }

// whoAssigns returns the first file whose text assigns the variable, "" for none.
func whoAssigns(name string, user []config.File, added []tree.LocalrcLine) string {
	assigns := regexp.MustCompile(`(?m)^[ \t]*(?:export[ \t]+)?` + regexp.QuoteMeta(name) + `=`)
	for _, file := range user {
		if assigns.MatchString(file.Text) {
			return file.Path
		}
	}
	for _, line := range added {
		if assigns.MatchString(line.Text) {
			return fmt.Sprintf("%s:%d", line.SettingsFile, line.Line)
		}
	}
	return ""
}
