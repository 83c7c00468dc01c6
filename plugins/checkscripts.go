package plugins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"grenade/framework/config"
)

// scriptNames are the scripts that a run executes.
func scriptNames() []string {
	return []string{"upgrade.sh", "shutdown.sh", "resources.sh", "snapshot.sh"}
}

// CheckScripts looks for what is wrong with the plugins' files before anything
// runs: settings and scripts that bash cannot parse, scripts that may not be
// executed. The error joins one config.Mistake per case. What is not there is
// no mistake.
func CheckScripts(ctx context.Context, plugins []Plugin) error {
	var mistakes []error
	var files []string
	for _, dir := range dirsOf(plugins) {
		found, err := ShellFiles(dir)
		if err != nil {
			mistakes = append(mistakes, err)
		}
		files = append(files, found...)
	}
	// Each has a bash of its own.
	checked := make([]error, len(files))
	var checks sync.WaitGroup
	places := make(chan struct{}, runtime.NumCPU())
	for i, file := range files {
		places <- struct{}{}
		checks.Go(func() {
			defer func() { <-places }()
			checked[i] = checkFile(ctx, file)
		})
	}
	checks.Wait()
	return errors.Join(append(mistakes, checked...)...)
}

func dirsOf(plugins []Plugin) []string {
	var dirs []string
	for _, plugin := range plugins {
		if !slices.Contains(dirs, plugin.Dir) {
			dirs = append(dirs, plugin.Dir)
		}
	}
	return dirs
}

// ShellFiles lists the shell of a plugin's directory that is there: settings, the
// scripts that a run executes, and what upgrade_project sources.
func ShellFiles(dir string) ([]string, error) {
	names := append([]string{settingsName}, scriptNames()...)
	for _, pattern := range []string{"from-*/upgrade-*", "within-*/upgrade-*"} {
		matches, err := filepath.Glob(filepath.Join(escapeGlob(dir), pattern))
		if err != nil {
			return nil, fmt.Errorf("scripts of %s: %w", dir, err)
		}
		for _, match := range matches {
			relative, err := filepath.Rel(dir, match)
			if err != nil {
				return nil, fmt.Errorf("scripts of %s: %w", dir, err)
			}
			names = append(names, relative)
		}
	}
	var present []string
	for _, name := range names {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			present = append(present, path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, &config.Mistake{File: path, Message: err.Error()}
		}
	}
	return present, nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

func checkFile(ctx context.Context, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return &config.Mistake{File: file, Message: err.Error()}
	}
	if !info.Mode().IsRegular() {
		return &config.Mistake{File: file, Message: "is not a regular file"}
	}
	var mistakes []error
	if slices.Contains(scriptNames(), filepath.Base(file)) {
		if info.Mode().Perm()&0o111 == 0 {
			mistakes = append(mistakes, &config.Mistake{File: file, Message: "is not executable: chmod +x it"})
		}
		interpreter, err := interpreterOf(file)
		if err != nil {
			return &config.Mistake{File: file, Line: 1, Message: err.Error()}
		}
		if !isBash(interpreter) {
			return errors.Join(mistakes...) // not ours to parse
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return &config.Mistake{File: file, Message: err.Error()}
	}
	// bash -n accepts most of it, and each name would end in an invisible carriage return.
	if at := bytes.Index(text, []byte("\r\n")); at >= 0 {
		mistakes = append(mistakes, &config.Mistake{
			File: file, Line: 1 + bytes.Count(text[:at], []byte("\n")), Message: "the line ends in CR LF: save the file with Unix line ends",
		})
		return errors.Join(mistakes...)
	}
	return errors.Join(append(mistakes, parse(ctx, file)...)...)
}

// complaint is how bash -n says where: "<file>: line 3: syntax error …". A line
// number that it gives for the end of the file may be one too high.
var complaint = regexp.MustCompile(`^(?:.*?: )?line (\d+): (.*)$`)

// parse has bash read the file without running it.
func parse(ctx context.Context, file string) []error {
	check := osexec.CommandContext(ctx, "bash", "-n", "--", file)
	check.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	output, err := check.CombinedOutput()
	if err == nil {
		return nil
	}
	var exit *osexec.ExitError
	if !errors.As(err, &exit) || ctx.Err() != nil {
		return []error{fmt.Errorf("bash -n %s: %w", file, errors.Join(err, ctx.Err()))}
	}
	for _, line := range strings.Split(string(output), "\n") {
		// The first complaint is the cause; bash repeats the line's text after it.
		if match := complaint.FindStringSubmatch(strings.TrimPrefix(line, file+": ")); match != nil {
			number, _ := strconv.Atoi(match[1]) // digits
			return []error{&config.Mistake{File: file, Line: number, Message: match[2]}}
		}
	}
	return []error{&config.Mistake{File: file, Message: strings.TrimSpace(string(output))}}
}
