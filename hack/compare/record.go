package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// call is one script as it was run.
type call struct {
	// argv is the script's own path and its arguments.
	argv       []string
	dir, umask string
	// open are those of the file descriptors 3 and 6 that were.
	open    string
	environ map[string]string
}

// name is the script without the directories that all have in common, and its
// arguments.
func (c call) name(root string) string {
	return strings.ReplaceAll(strings.Join(c.argv, " "), root+"/", "")
}

// seen is what one side did.
type seen struct {
	projects  []string
	pluginDir map[string]string
	databases []string
	// values are variables as the settings left them.
	values    map[string]string
	localConf map[string]string
	calls     []call
	// surface is what a script has that has sourced grenaderc and functions: functions,
	// variables with their values, options and traps of the shell.
	surface map[string]string
	// failure is why it ended before its time, "" when it did not.
	failure string
}

// readCalls reads what the stubs have written down, in the order in which they ran.
func readCalls(records string) ([]call, error) {
	dirs, err := filepath.Glob(filepath.Join(records, "[0-9]*"))
	if err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	var calls []call
	for _, dir := range dirs { // sorted by name, and so by time
		argv, err := fields(filepath.Join(dir, "argv"))
		if err != nil {
			return nil, err
		}
		place, err := fields(filepath.Join(dir, "place"))
		if err != nil {
			return nil, err
		}
		environ, err := fields(filepath.Join(dir, "environ"))
		if err != nil {
			return nil, err
		}
		if len(argv) == 0 || len(place) != 3 {
			return nil, fmt.Errorf("record %s is cut short", dir)
		}
		made := call{argv: argv, dir: place[0], umask: place[1], open: strings.TrimSpace(place[2]), environ: map[string]string{}}
		for _, entry := range environ {
			name, value, _ := strings.Cut(entry, "=")
			made.environ[name] = value
		}
		calls = append(calls, made)
	}
	return calls, nil
}

// fields reads what NUL ends; nothing from a file that is not there.
func fields(path string) ([]string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	all := strings.Split(string(content), "\x00")
	return all[:len(all)-1], nil
}

// readSurface reads what one script has written down.
func readSurface(records string) (map[string]string, error) {
	written, err := fields(filepath.Join(records, "surface"))
	if err != nil {
		return nil, err
	}
	surface := map[string]string{}
	for ; len(written) >= 3; written = written[3:] {
		surface[written[0]+" "+written[1]] = written[2]
	}
	return surface, nil
}

// readLocalConf reads both trees' local.conf.
func readLocalConf(s *site) (map[string]string, error) {
	found := map[string]string{}
	for side, dir := range map[string]string{"base": baseDir, "target": targetDir} {
		text, err := os.ReadFile(filepath.Join(s.tree(dir), "local.conf"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("local.conf: %w", err)
		}
		found[side] = string(text)
	}
	return found, nil
}
