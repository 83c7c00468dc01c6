package plugins

import "strings"

// word is one word of a shell line with its quotes taken off.
type word struct {
	text string
	// computed tells that bash would replace a part of it.
	computed bool
	// first tells that a command begins here.
	first bool
}

// words splits one line of bash into words, as far as a text scan can: it knows
// quotes, comments and what separates commands.
func words(line string) []word {
	var all []word
	var text strings.Builder
	begun, computed, first := false, false, true
	end := func() {
		if begun {
			all = append(all, word{text: text.String(), computed: computed, first: first})
			// After "if", "then" and the like another command begins.
			first = first && !computed && leadsCommand(text.String())
		}
		text.Reset()
		begun, computed = false, false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\'':
			begun = true
			for i++; i < len(line) && line[i] != '\''; i++ {
				text.WriteByte(line[i])
			}
		case c == '"':
			begun = true
			for i++; i < len(line) && line[i] != '"'; i++ {
				if line[i] == '\\' && i+1 < len(line) {
					i++
				} else if line[i] == '$' || line[i] == '`' {
					computed = true
				}
				text.WriteByte(line[i])
			}
		case c == '\\' && i+1 < len(line):
			begun = true
			i++
			text.WriteByte(line[i])
		case c == '#' && !begun:
			end()
			return all
		case c == ' ' || c == '\t' || c == '\r':
			end()
		case strings.IndexByte(";&|(){}", c) >= 0 && !inExpansion(text.String(), c):
			end()
			first = true
		default:
			begun = true
			computed = computed || c == '$' || c == '`' || c == '*' || c == '?'
			text.WriteByte(c)
		}
	}
	end()
	return all
}

// inExpansion tells whether a brace belongs to a word such as ${name}.
func inExpansion(text string, c byte) bool {
	return c == '{' && strings.HasSuffix(text, "$") || c == '}' && strings.Contains(text, "${")
}

func leadsCommand(text string) bool {
	switch text {
	case "if", "then", "else", "elif", "while", "until", "do", "!", "time":
		return true
	default:
		return false
	}
}

// registerFunction is what settings call to register a project.
const registerFunction = "register_project_for_upgrade"

// registrations returns the names that a line of settings registers for
// upgrade. Names that bash computes are left out.
func registrations(line string) []string {
	var names []string
	all := words(line)
	for i, w := range all {
		if !w.first || w.text != registerFunction || i+1 >= len(all) {
			continue
		}
		// As upstream, only the first argument counts.
		if name := all[i+1]; !name.first && !name.computed && name.text != "" {
			names = append(names, name.text)
		}
	}
	return names
}
