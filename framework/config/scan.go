package config

import (
	"regexp"
	"slices"
	"strings"
)

// assignment is the head of a word that assigns a variable: NAME=, NAME+=,
// NAME[index]=.
var assignment = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)(\[[^]]*\])?\+?=`)

// assignedNames lists the variables that one simple command, as bash prints it
// in BASH_COMMAND, assigns: "A=1 B=2", "export A=1", "declare -x A=1". An
// assignment before a command ("A=1 make") does not last, so it does not count.
func assignedNames(command string) []string {
	words := splitWords(command)
	if len(words) > 0 && slices.Contains([]string{"export", "declare", "typeset", "readonly"}, words[0]) {
		words = words[1:]
		for len(words) > 0 && (strings.HasPrefix(words[0], "-") || strings.HasPrefix(words[0], "+")) {
			words = words[1:]
		}
		return names(words, false)
	}
	return names(words, true)
}

// names takes the names of all words that assign; with strict, one word that
// does not makes it nothing.
func names(words []string, strict bool) []string {
	var all []string
	for _, word := range words {
		if m := assignment.FindStringSubmatch(word); m != nil {
			all = append(all, m[1])
		} else if strict {
			return nil
		}
	}
	return all
}

// splitWords splits at blanks that are not quoted, escaped or inside (...),
// {...} or backquotes. It keeps quotes: only the heads of words matter here.
func splitWords(command string) []string {
	var words []string
	var word strings.Builder
	var open []byte // what closes each construct that we are in
	top := func() byte {
		if len(open) == 0 {
			return 0
		}
		return open[len(open)-1]
	}
	for i := 0; i < len(command); i++ {
		b := command[i]
		switch {
		case top() == '\'': // nothing is special but the end
			if b == '\'' {
				open = open[:len(open)-1]
			}
		case b == '\\' && i+1 < len(command):
			word.WriteByte(b)
			i++
			b = command[i]
		case len(open) > 0 && b == top():
			open = open[:len(open)-1]
		case b == '\'' && top() != '"', b == '"', b == '`':
			open = append(open, b)
		case b == '(' && (top() != '"' || (i > 0 && command[i-1] == '$')):
			open = append(open, ')')
		case b == '{' && i > 0 && command[i-1] == '$':
			open = append(open, '}')
		case len(open) == 0 && (b == ' ' || b == '\t' || b == '\n'):
			if word.Len() > 0 {
				words = append(words, word.String())
				word.Reset()
			}
			continue
		}
		word.WriteByte(b)
	}
	if word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}
