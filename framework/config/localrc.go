package config

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"grenade/framework/exec"
)

// localrcLimit is how long localrc may take: it is meant to assign variables.
const localrcLimit = 10 * time.Second

//go:embed evaluate.sh
var evaluateScript string

// localrc is what evaluating the file gave.
type localrc struct {
	values   map[string]assigned // our settings that it set
	extra    map[string]string   // everything else that it set
	warnings []string
}

// assigned is a value with the place of the command that gave it.
type assigned struct {
	text, file string
	line       int
}

// traced is one command that localrc ran.
type traced struct {
	file    string
	line    int
	command string
}

// readLocalrc evaluates the file. The second result are mistakes in it, the
// third is set when bash could not be run at all.
func readLocalrc(ctx context.Context, rc File, src Sources) (*localrc, []error, error) {
	nothing := &localrc{}
	if rc.Path == "" {
		return nothing, nil, nil
	}
	// Found before evaluation: bash -n accepts the file, and each value would
	// end in an invisible carriage return.
	if at := strings.Index(rc.Text, "\r\n"); at >= 0 {
		return nothing, []error{&Mistake{
			File: rc.Path, Line: 1 + strings.Count(rc.Text[:at], "\n"),
			Message: "the line ends in CR LF: save the file with Unix line ends",
		}}, nil
	}
	if mistake, err := checkSyntax(ctx, rc); err != nil || mistake != nil {
		if mistake != nil {
			return nothing, []error{mistake}, nil
		}
		return nothing, nil, err
	}

	dir, err := os.MkdirTemp("", "grenade-localrc-")
	if err != nil {
		return nothing, nil, fmt.Errorf("evaluating %s: %w", rc.Path, err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in TMPDIR is no reason to fail
	ev := &evaluation{rc: rc, src: src, dir: dir, limit: localrcLimit}
	if err := ev.run(ctx); err != nil {
		return nothing, nil, err
	}
	found, wrong := ev.judge()
	return found, wrong, nil
}

// evaluation is one run of evaluate.sh.
type evaluation struct {
	rc    File
	src   Sources
	dir   string
	limit time.Duration

	result         bashResult
	before, after  map[string]string
	trace, unknown []traced
	reachedTheEnd  bool
}

func (ev *evaluation) run(ctx context.Context) error {
	preamble := filepath.Join(ev.dir, "preamble")
	script := filepath.Join(ev.dir, "evaluate.sh")
	for path, text := range map[string]string{preamble: ev.preamble(), script: evaluateScript} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("evaluating %s: %w", ev.rc.Path, err)
		}
	}
	var err error
	ev.result, err = runBash(ctx, exec.Command{
		Env: cleanEnviron(ev.src.Environ), Dir: filepath.Dir(ev.rc.Path), Timeout: ev.limit,
	}, script, ev.rc.Path, preamble, ev.dir)
	if err != nil {
		return fmt.Errorf("evaluating %s: %w", ev.rc.Path, err)
	}
	ev.before = pairs(ev.read("before"))
	ev.after = pairs(ev.read("after"))
	ev.trace = triples(ev.read("trace"))
	ev.unknown = triples(ev.read("unknown"))
	_, err = os.Stat(filepath.Join(ev.dir, "done"))
	ev.reachedTheEnd = err == nil
	return nil
}

// read returns what evaluate.sh wrote; a file it did not come to is empty.
func (ev *evaluation) read(name string) []string {
	text, err := os.ReadFile(filepath.Join(ev.dir, name))
	if err != nil || len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}

// preamble gives localrc the defaults, and holds on to what the environment set.
func (ev *evaluation) preamble() string {
	var defaults, pins strings.Builder
	resolved := map[string]string{}
	for _, s := range table() {
		value := ev.src.env(s.name)
		if value != "" {
			fmt.Fprintf(&pins, "    %s=%s\n", s.name, quote(value))
		} else if s.place != nil {
			value = s.place(ev.src)
		} else {
			value = expand(s.fallback, func(name string) string { return resolved[name] })
		}
		resolved[s.name] = value
		fmt.Fprintf(&defaults, "%s=%s\n", s.name, quote(value))
	}
	return defaults.String() + "__grenade_pin() {\n    :\n" + pins.String() + "}\n"
}

// judge turns what was written down into values, warnings and mistakes.
func (ev *evaluation) judge() (*localrc, []error) {
	rc := &localrc{values: map[string]assigned{}, extra: map[string]string{}}
	var wrong []error
	for _, u := range ev.unknown {
		wrong = append(wrong, &Mistake{File: u.file, Line: u.line, Message: notFound(u.command)})
	}
	for _, line := range ev.result.said {
		rc.warnings = append(rc.warnings, "localrc said: "+line)
	}
	if !ev.reachedTheEnd {
		m := &Mistake{File: ev.rc.Path, Message: fmt.Sprintf("ends the shell (exit %d) instead of only assigning variables", ev.result.exit)}
		if ev.result.timedOut {
			m.Message = fmt.Sprintf("did not finish within %s: it should only assign variables", ev.limit)
		}
		if last, found := ev.last(func(t traced) bool { return t.file == ev.rc.Path }); found {
			m.File, m.Line = last.file, last.line
			m.Message += ", at: " + oneLine(last.command)
		}
		return rc, append(wrong, m)
	}

	settings := map[string]bool{}
	for _, s := range table() {
		settings[s.name] = true
		value, there := ev.after[s.name]
		at, isAssigned := ev.place(s.name)
		if !there || (!isAssigned && value == ev.before[s.name]) {
			continue
		}
		rc.values[s.name] = assigned{text: value, file: at.file, line: at.line}
	}
	for _, name := range sortedKeys(ev.after) {
		old, existed := ev.before[name]
		if settings[name] || bashOwn(name) || (existed && old == ev.after[name]) {
			continue
		}
		rc.extra[name] = ev.after[name]
		if meant := misspelt(name); meant != "" {
			at, _ := ev.place(name)
			wrong = append(wrong, &Mistake{File: at.file, Line: at.line,
				Message: fmt.Sprintf("%s is not a setting; did you mean %s?", name, meant)})
		}
	}
	sort.SliceStable(wrong, func(i, j int) bool { return lineOf(wrong[i]) < lineOf(wrong[j]) })
	return rc, wrong
}

func lineOf(err error) int {
	var m *Mistake
	if errors.As(err, &m) {
		return m.Line
	}
	return 0
}

// place finds the command that gave a variable its value: the last that
// assigned it, else the last that mentions it (read NAME, printf -v NAME, :
// ${NAME:=x}). Only the first kind tells that it was set on purpose to what it
// was before.
func (ev *evaluation) place(name string) (at traced, isAssigned bool) {
	if at, found := ev.last(func(t traced) bool { return slices.Contains(assignedNames(t.command), name) }); found {
		return at, true
	}
	word := regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`)
	if at, found := ev.last(func(t traced) bool { return word.MatchString(t.command) }); found {
		return at, false
	}
	return traced{file: ev.rc.Path}, false
}

func (ev *evaluation) last(is func(traced) bool) (traced, bool) {
	for i := len(ev.trace) - 1; i >= 0; i-- {
		if t := ev.trace[i]; t.file != filepath.Join(ev.dir, "evaluate.sh") && is(t) {
			return t, true
		}
	}
	return traced{}, false
}

// notFound explains a command that does not exist, which in a localrc most
// often was to be an assignment.
func notFound(command string) string {
	words := strings.Fields(command)
	name := words[0]
	if len(words) > 1 && strings.HasPrefix(words[1], "=") {
		return fmt.Sprintf("%s: command not found; write %s=value, without blanks around the =", name, name)
	}
	return name + ": command not found"
}

func oneLine(command string) string {
	first, rest, more := strings.Cut(command, "\n")
	if more && rest != "" {
		return first + " …"
	}
	return first
}

// bashOwn are variables that bash itself changes while it runs.
func bashOwn(name string) bool {
	if strings.HasPrefix(name, "BASH") || strings.HasPrefix(name, "__grenade_") || strings.HasPrefix(name, "EPOCH") || strings.HasPrefix(name, "COMP_") {
		return true
	}
	switch name {
	case "_", "COLUMNS", "DIRSTACK", "FUNCNAME", "GROUPS", "HISTCMD", "LINENO", "LINES", "OLDPWD", "OPTARG", "OPTERR",
		"OPTIND", "PIPESTATUS", "PWD", "RANDOM", "REPLY", "SECONDS", "SHELLOPTS", "SHLVL", "SRANDOM":
		return true
	}
	return false
}

// pairs reads NAME, VALUE, NAME, VALUE …
func pairs(fields []string) map[string]string {
	all := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		all[fields[i]] = fields[i+1]
	}
	return all
}

// triples reads FILE, LINE, COMMAND, FILE, LINE, COMMAND …
func triples(fields []string) []traced {
	var all []traced
	for i := 0; i+2 < len(fields); i += 3 {
		line, err := strconv.Atoi(fields[i+1])
		if err != nil {
			line = 0
		}
		all = append(all, traced{file: fields[i], line: line, command: fields[i+2]})
	}
	return all
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// quote makes one bash word of any text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// checkSyntax asks bash -n. The first result is the mistake, the second is set
// when bash could not be run.
func checkSyntax(ctx context.Context, rc File) (*Mistake, error) {
	if rc.Text == "" {
		return nil, nil
	}
	// -s with the text on stdin: what was read is what is checked, and it works
	// for text that is in no file.
	result, err := runBash(ctx, exec.Command{Env: cleanEnviron(nil), Stdin: []byte(rc.Text)}, "-n", "-s")
	if err != nil {
		return nil, fmt.Errorf("checking the syntax of %s: %w", rc.Path, err)
	}
	if result.exit == 0 {
		return nil, nil
	}
	m := &Mistake{File: rc.Path, Message: "bash -n rejects it"}
	var said []string
	for _, text := range result.said {
		line, message, ok := bashComplaint(text)
		if !ok {
			continue
		}
		if m.Line == 0 {
			m.Line = line
		}
		said = append(said, message)
	}
	if len(said) > 0 {
		m.Message = strings.Join(said, "; ")
	}
	return m, nil
}

// bashComplaint takes "bash: line 3: syntax error …" apart.
func bashComplaint(text string) (line int, message string, ok bool) {
	parts := regexp.MustCompile(`^.*?: line (\d+): (.*)$`).FindStringSubmatch(text)
	if parts == nil {
		return 0, "", false
	}
	line, err := strconv.Atoi(parts[1])
	return line, parts[2], err == nil
}
