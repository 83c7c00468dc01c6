package debstack

import (
	"slices"
	"strings"

	"grenade/framework/tree"
)

// Setting is one NAME=value of a localrc.
type Setting struct{ Name, Value string }

// LocalrcLine is what one call of devstack_localrc adds to a side's local.conf.
type LocalrcLine = tree.LocalrcLine

// localrcSection is the heading of the section that DevStack sources as localrc (DevStack documentation,
// "Configuration", "local.conf").
const localrcSection = "[[local|localrc]]"

// ComposeLocalConf writes a local.conf: the localrc section first, with the settings in their order and then the
// added text in its order, each after a comment that names the settings file it comes from. From where a text opens
// a section of its own, it goes behind the localrc section, so that the next text is still part of localrc; a text
// that comes back to [[local|localrc]] does so, too. Values are quoted for the shell that sources them, added text is
// left as it is: it is shell.
func ComposeLocalConf(settings []Setting, added []LocalrcLine) string {
	var localrc, sections strings.Builder
	localrc.WriteString(localrcSection + "\n")
	for _, s := range settings {
		localrc.WriteString(s.Name + "=" + shellQuote(s.Value) + "\n")
	}
	for _, line := range added {
		comment := "# from " + strings.ReplaceAll(line.SettingsFile, "\n", " ") + "\n"
		into, wrote := &localrc, []*strings.Builder(nil)
		for text := range strings.Lines(line.Text) {
			text = strings.TrimSuffix(text, "\n")
			if trimmed := strings.TrimSpace(text); isSection(trimmed) {
				if trimmed == localrcSection {
					into = &localrc
					continue
				}
				into = &sections
				// The comment goes below the heading: above it, it would end the section before.
				into.WriteString("\n" + text + "\n" + comment)
				wrote = append(wrote, into)
				continue
			}
			if !slices.Contains(wrote, into) {
				into.WriteString(comment)
				wrote = append(wrote, into)
			}
			into.WriteString(text + "\n")
		}
	}
	return localrc.String() + sections.String()
}

func isSection(line string) bool {
	return strings.HasPrefix(line, "[[") && strings.HasSuffix(line, "]]") && strings.Contains(line, "|")
}
