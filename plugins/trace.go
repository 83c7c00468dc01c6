package plugins

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// traceHeader is the first line of a trace, written before the script runs.
type traceHeader struct {
	Script string `json:"script"`
	// Dir is where the script began: bash names a sourced file as it was asked to.
	Dir string `json:"dir"`
	// Bash tells that the script is bash's, so that a trace can be expected.
	Bash bool `json:"bash"`
	// Harness are the directories whose files are not the plugin's own work.
	Harness []string `json:"harness"`
}

// trace is what a script did, as bash recorded it (plugins/shell/trace).
type trace struct {
	header traceHeader
	// pid is the script's bash, 0 when it never began to record.
	pid      int
	commands []traced
}

// traced is one command.
type traced struct {
	pid, line int
	file      string // absolute, as far as it could be found out
	projects  string // UPGRADE_PROJECTS before it, in the trace of settings
	text      string // as bash shows it: words expanded, without redirections
}

// record is how a command begins: PS4 of plugins/shell/trace and load-settings.
// Bash repeats PS4's first character for each level of sourcing and
// substitution. Lines that do not look so belong to the command before.
var record = regexp.MustCompile(`^\++<grenade (\d+) (\d+) (\d+) ([^\t]*)>([^>\t]*)\t(.*)$`)

var begun = regexp.MustCompile(`^begun (\d+)$`)

func readTrace(path string) (*trace, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	first, rest, _ := bytes.Cut(content, []byte("\n"))
	read := &trace{}
	if err := json.Unmarshal(first, &read.header); err != nil {
		return nil, fmt.Errorf("trace %s: its first line is not ours: %w", path, err)
	}
	read.commands, read.pid = parseTrace(string(rest), filepath.Dir(read.header.Script), read.header.Dir)
	return read, nil
}

// parseTrace returns the recorded commands and the process that began the
// trace. A sourced file that was named relative to the working directory, which
// may have been any, is looked for in dirs.
func parseTrace(text string, dirs ...string) (commands []traced, pid int) {
	// A string has no read errors.
	pid, _ = eachTraced(strings.NewReader(text), dirs, func(command traced) { commands = append(commands, command) })
	return commands, pid
}

// eachTraced calls each with the recorded commands, in order, and returns the process
// that began the trace. It keeps nothing.
func eachTraced(text io.Reader, dirs []string, each func(traced)) (pid int, err error) {
	lines := bufio.NewReader(text)
	var command traced
	open := false
	for {
		line, err := lines.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return pid, fmt.Errorf("trace: %w", err)
		}
		ended := err != nil
		line = strings.TrimSuffix(line, "\n")
		match := record.FindStringSubmatch(line)
		switch {
		case match != nil:
			if open {
				each(command)
			}
			command, open = traced{file: locate(match[4], dirs), projects: match[5], text: match[6]}, true
			command.pid, _ = strconv.Atoi(match[1])  // digits
			command.line, _ = strconv.Atoi(match[3]) // digits
		case ended && line == "":
			// What ends with a newline has no further line.
		default:
			if start := begun.FindStringSubmatch(line); start != nil && pid == 0 {
				pid, _ = strconv.Atoi(start[1]) // digits
			} else if open {
				command.text += "\n" + line
			}
		}
		if ended {
			break
		}
	}
	if open {
		each(command)
	}
	return pid, nil
}

func locate(file string, dirs []string) string {
	if filepath.IsAbs(file) {
		return filepath.Clean(file)
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, file)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return file
}

// kept is the command without the list of projects, of which each has its own, and
// without the rest of the trace's line, which a part of it would hold.
func (c traced) kept() traced {
	return traced{pid: c.pid, line: c.line, file: strings.Clone(c.file), text: strings.Clone(c.text)}
}

func (c traced) place() string { return fmt.Sprintf("%s:%d", c.file, c.line) }

// name is the command's first word. Bash quotes those that look like patterns.
func (c traced) name() string {
	name, _, _ := strings.Cut(c.text, " ")
	return strings.Trim(name, "'")
}

// own tells whether the command stands in a file that is the plugin's own work:
// one below its directory, or any other file that is not known to be GRENADE_DIR's
// or a tree's.
func (t *trace) own(command traced, pluginDir string) bool {
	if !filepath.IsAbs(command.file) || within(command.file, pluginDir) {
		return true
	}
	for _, dir := range t.header.Harness {
		if within(command.file, dir) {
			return false
		}
	}
	return true
}

func within(path, dir string) bool {
	relative, err := filepath.Rel(dir, path)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}

// LastCommand returns the last line of the plugin's own files that a script ran,
// as file:line: where it was when it failed. It is empty when the trace does not
// tell.
func LastCommand(traceFile, pluginDir string) (string, error) {
	read, err := readTrace(traceFile)
	if err != nil {
		return "", err
	}
	for i := len(read.commands) - 1; i >= 0; i-- {
		command := read.commands[i]
		if read.own(command, pluginDir) && command.name() != exitTrap {
			return command.place(), nil
		}
	}
	return "", nil
}

// exitTrap is the function that GRENADE_DIR/functions has every script call at
// its end (plugins/shell/inc/exit). Bash attributes the call to the script.
const exitTrap = "exit_trap"
