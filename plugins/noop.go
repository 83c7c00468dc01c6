package plugins

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// NoOp tells from a script's trace whether it did nothing: whether every command
// that it ran from its own files only looked at variables, talked, or sourced
// what GRENADE_DIR and the trees offer. why says what was found. What cannot be
// told counts as something, so a script that hides its commands (set +x) or that
// bash does not read is never called idle.
//
// Traces do not show redirections, so the script's text is read, too.
func NoOp(traceFile, pluginDir string) (idle bool, why string, err error) {
	read, err := readTrace(traceFile)
	if err != nil {
		return false, "", err
	}
	switch {
	case !read.header.Bash:
		return false, "cannot tell: it is no bash script", nil
	case read.pid == 0:
		return false, "cannot tell: bash recorded nothing", nil
	}
	judge := &judge{trace: read, pluginDir: pluginDir, lines: map[string][]string{}}
	did, unclear := judge.find()
	switch {
	case did != "":
		return false, did, nil
	case unclear != "":
		return false, "cannot tell: " + unclear, nil
	case judge.seen == 0:
		return true, "it ran no command", nil
	default:
		return true, fmt.Sprintf("all that it ran were no-ops, the last at %s", judge.last), nil
	}
}

// judge looks for a command that is more than a no-op.
type judge struct {
	trace     *trace
	pluginDir string
	lines     map[string][]string // of the plugin's own files
	seen      int
	last      string
}

// find returns the first thing that the script did, and else the first reason
// to doubt that the trace shows everything.
func (j *judge) find() (did, unclear string) {
	doubt := func(command traced, format string, args ...any) {
		if unclear == "" {
			unclear = command.place() + " " + fmt.Sprintf(format, args...)
		}
	}
	for i, command := range j.trace.commands {
		if hidesTrace(command) {
			switch {
			case strings.HasSuffix(command.file, "/inc/exit"):
				// Our own EXIT trap: the script is over.
			case j.trace.own(command, j.pluginDir):
				if !j.onlyTalkFollows(command) {
					doubt(command, "switches the trace off")
				}
			case command.pid == j.trace.pid && i == len(j.trace.commands)-1:
				doubt(command, "switched the trace off for good")
			}
		}
		if !j.trace.own(command, j.pluginDir) || command.name() == exitTrap {
			continue
		}
		j.seen++
		j.last = filepath.Base(command.file) + fmt.Sprintf(":%d", command.line)
		if changesTrace.MatchString(command.text) {
			doubt(command, "changes how commands are recorded")
		}
		if !j.harmless(command) {
			// The name alone: its words may be secret.
			return fmt.Sprintf("%s ran %s", command.place(), command.name()), unclear
		}
	}
	return "", unclear
}

var changesTrace = regexp.MustCompile(`^(?:(?:export|declare|local|unset|readonly|typeset) (?:-\S+ )*)?(?:PS4|BASH_XTRACEFD)(?:=|$)`)

// hidesTrace tells whether the command is a set that switches xtrace off.
func hidesTrace(command traced) bool {
	words := strings.Fields(command.text)
	if len(words) == 0 || words[0] != "set" {
		return false
	}
	for i, word := range words[1:] {
		switch {
		case word == "--":
			return false
		case word == "+o":
			if i+2 < len(words) && words[i+2] == "xtrace" {
				return true
			}
		case strings.HasPrefix(word, "+") && strings.Contains(word, "x"):
			return true
		}
	}
	return false
}

// onlyTalkFollows tells whether the text after the command's line can do
// nothing but print: upstream's scripts end so, after set +o xtrace.
func (j *judge) onlyTalkFollows(command traced) bool {
	lines := j.linesOf(command.file)
	if command.line < 1 || command.line > len(lines) {
		return false
	}
	for _, line := range lines[command.line:] {
		text := strings.TrimSpace(line)
		switch {
		case text == "", strings.HasPrefix(text, "#"):
		case (text == "echo" || strings.HasPrefix(text, "echo ")) && !strings.ContainsAny(text, "`|&;>") && !strings.Contains(text, "$("):
		default:
			return false
		}
	}
	return true
}

// harmless tells whether the command changes nothing outside the script.
func (j *judge) harmless(command traced) bool {
	name := command.name()
	switch name {
	case "echo", "printf", "echo_summary":
		return !j.redirects(command)
	case "exec":
		return command.text == "exec" && !j.redirects(command)
	case "command":
		return strings.HasPrefix(command.text, "command -v ") || strings.HasPrefix(command.text, "command -V ")
	case "upgrade_project":
		return true // it sources files of the plugin, whose commands are looked at
	}
	// What a function of the plugin does is recorded as well.
	return OnlyLooks(name) || assignment.MatchString(command.text) || j.defines(name)
}

// OnlyLooks tells whether a command of that name changes nothing outside the
// script: it looks at variables, steers the shell, sources a file, or asks the
// harness and the tree. Commands that talk (echo) are not among them: where they
// write to is another question.
func OnlyLooks(name string) bool {
	switch name {
	case ":", "true", "false", "test", "[", "[[", "((", "case", "for", "select",
		"set", "shopt", "source", ".", "local", "declare", "typeset", "readonly", "export", "unset", "let",
		"shift", "getopts", "return", "break", "continue", "exit", "trap", "eval", "read", "mapfile", "readarray",
		"cd", "pwd", "dirname", "basename", "readlink", "realpath", "date", "sleep", "type", "umask",
		"source_quiet", "resource_get", "is_service_enabled", "trueorfalse", "get_release_name_from_branch":
		return true
	}
	return false
}

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(?:\[[^]]*\])?\+?=`)

var (
	quoted = regexp.MustCompile(`'[^']*'|"(?:[^"\\]|\\.)*"`)
	// nowhere are redirections that write no file.
	nowhere = regexp.MustCompile(`[0-9]*>&\s*[0-9-]+|[0-9&]*>>?\s*/dev/(?:null|stdout|stderr)\b`)
)

// redirects tells whether the command's line may write to a file.
func (j *judge) redirects(command traced) bool {
	lines := j.linesOf(command.file)
	if command.line < 1 || command.line > len(lines) {
		return true
	}
	text := quoted.ReplaceAllString(lines[command.line-1], "_")
	return strings.Contains(nowhere.ReplaceAllString(text, ""), ">")
}

// defines tells whether one of the plugin's own files that the script read
// defines a function of that name.
func (j *judge) defines(name string) bool {
	definition := regexp.MustCompile(`(?m)^\s*(?:function\s+` + regexp.QuoteMeta(name) + `(?:\s|\(|\{|$)|` + regexp.QuoteMeta(name) + `\s*\(\s*\))`)
	for _, command := range j.trace.commands {
		if j.trace.own(command, j.pluginDir) {
			j.linesOf(command.file)
		}
	}
	for _, lines := range j.lines {
		if definition.MatchString(strings.Join(lines, "\n")) {
			return true
		}
	}
	return false
}

// linesOf reads a file of the plugin's, once. One that cannot be read has no
// lines, so whatever it runs counts as something.
func (j *judge) linesOf(file string) []string {
	lines, known := j.lines[file]
	if !known {
		if content, err := os.ReadFile(file); err == nil {
			lines = strings.Split(string(content), "\n")
		}
		j.lines[file] = lines
	}
	return lines
}
