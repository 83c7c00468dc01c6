package plugins

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"grenade/framework/exec"
)

// State says whether a script is there and has anything to run.
type State string

// The states of a script, as a reason reads: "shutdown.sh is missing".
const (
	Missing State = "missing"
	Empty   State = "empty"
	Present State = "present"
)

// StateOf looks at a script. One that holds nothing but blank lines and
// comments is Empty.
func StateOf(script string) (State, error) {
	file, err := os.Open(script)
	if errors.Is(err, fs.ErrNotExist) {
		return Missing, nil
	}
	if err != nil {
		return "", fmt.Errorf("script: %w", err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadString('\n')
		if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(text, "#") {
			return Present, nil
		}
		if err != nil {
			// The end, or a read error: that of a directory, for example.
			if info, statErr := file.Stat(); statErr != nil || !info.Mode().IsRegular() {
				return "", fmt.Errorf("script %s: not a file that can be read: %w", script, err)
			}
			return Empty, nil
		}
	}
}

// ScriptInput says which script runs, and with what.
type ScriptInput struct {
	// Path is the script's real path, which becomes its $0.
	Path string
	Args []string
	// Trace is the file that records the commands that the script runs; its
	// directories are made. It is private: commands hold passwords. Empty: no
	// trace.
	Trace string
	// Dumps is what Dumps.Of says; it is of use only with a trace.
	Dumps string
	// Environ is the script's complete environment.
	Environ map[string]string
}

// ScriptCommand returns the command that runs a plugin's script in the node, and
// makes an empty trace file. The script runs in the base tree's directory, as
// upstream's do. A file without "#!" is run as bash does: by bash.
//
// The process list of the node shows nothing but the script and its arguments:
// service checks look for names in it.
func ScriptCommand(in ScriptInput) (exec.Command, error) {
	interpreter, err := interpreterOf(in.Path)
	if err != nil {
		return exec.Command{}, err
	}
	environ := map[string]string{"GRENADE_SAVE_DIR": in.Environ["SAVE_DIR"]}
	for name, value := range in.Environ {
		environ[name] = value
	}
	if in.Trace != "" {
		header := traceHeader{Script: in.Path, Dir: in.Environ["BASE_DEVSTACK_DIR"], Bash: isBash(interpreter)}
		for _, name := range []string{"GRENADE_DIR", "BASE_DEVSTACK_DIR", "TARGET_DEVSTACK_DIR"} {
			if dir := in.Environ[name]; dir != "" {
				header.Harness = append(header.Harness, dir)
			}
		}
		// The tree's functions, from a dump (plugins/shell/inc/load).
		header.Harness = append(header.Harness, filepath.Join(in.Environ["SAVE_DIR"], dumpsName))
		if err := startTrace(in.Trace, in.Environ["SAVE_DIR"], header); err != nil {
			return exec.Command{}, err
		}
	}
	if in.Trace != "" && isBash(interpreter) {
		environ["BASH_ENV"] = inDoubleQuotes(filepath.Join(in.Environ["GRENADE_DIR"], "trace"))
		environ["GRENADE_TRACE"] = in.Trace
		environ["GRENADE_TRACED"] = in.Path
		if in.Dumps != "" {
			environ["GRENADE_DUMPS"] = in.Dumps
		}
	}
	command := exec.Command{Dir: in.Environ["BASE_DEVSTACK_DIR"]}
	switch {
	case interpreter == "", interpreter == "/usr/bin/env bash":
		// What env would do, with the same words in the list of processes, costs one program more.
		command.Args = []string{"bash"}
	case in.Trace != "" && !isBash(interpreter):
		// What the trace's shell does for bash: upstream's scripts inherit 3 and 6,
		// and a bash that this one starts may write there.
		command.Args = []string{"sh", "-c", `exec "$0" "$@" 3>&1 6>&1`}
	}
	command.Args = append(append(command.Args, in.Path), in.Args...)
	for name, value := range environ {
		command.Env = append(command.Env, name+"="+value)
	}
	slices.Sort(command.Env)
	return command, nil
}

// inDoubleQuotes escapes what bash expands in the value of BASH_ENV.
func inDoubleQuotes(path string) string {
	var escaped strings.Builder
	for i := range len(path) {
		if strings.IndexByte("\\$`\"", path[i]) >= 0 {
			escaped.WriteByte('\\')
		}
		escaped.WriteByte(path[i])
	}
	return escaped.String()
}

// interpreterOf returns what the script's "#!" line names, "" when it has none.
func interpreterOf(script string) (string, error) {
	file, err := os.Open(script)
	if err != nil {
		return "", fmt.Errorf("script: %w", err)
	}
	defer func() { _ = file.Close() }()
	line, err := bufio.NewReader(file).ReadString('\n')
	rest, ok := strings.CutPrefix(line, "#!")
	if !ok {
		return "", nil
	}
	if rest = strings.TrimSpace(rest); rest == "" {
		return "", fmt.Errorf("script %s: its #! line names no program: %w", script, err)
	}
	return rest, nil
}

// IsBash tells whether bash reads a script.
func IsBash(script string) (bool, error) {
	interpreter, err := interpreterOf(script)
	return err == nil && isBash(interpreter), err
}

// isBash tells whether bash reads a script with this "#!" line. Called sh, bash
// reads no BASH_ENV and leaves no trace.
func isBash(interpreter string) bool {
	if interpreter == "" {
		return true
	}
	parts := strings.Fields(interpreter)
	if filepath.Base(parts[0]) == "env" {
		parts = parts[1:]
		if len(parts) > 0 && parts[0] == "-S" {
			parts = parts[1:]
		}
	}
	return len(parts) > 0 && filepath.Base(parts[0]) == "bash"
}

// startTrace makes the trace file with its first line. Everything that it makes
// below saveDir gets saveDir's owner, so that the script's user can write. Rows
// that run side by side may make the same directories at the same time.
func startTrace(trace, saveDir string, header traceHeader) error {
	line, err := json.Marshal(header)
	if err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(trace), 0o700); err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	if err := os.Remove(trace); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("trace: %w", err)
	}
	if err := os.WriteFile(trace, append(line, '\n'), 0o600); err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	if err := giveToOwnerOf(saveDir, trace); err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	return nil
}

// giveToOwnerOf gives path, and every directory between it and dir, to the
// owner of dir. Only root can, and only root must.
func giveToOwnerOf(dir, path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("owner of %s: %w", dir, err)
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	if !known {
		return nil
	}
	for ; within(path, dir) && path != filepath.Clean(dir); path = filepath.Dir(path) {
		if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
			return fmt.Errorf("give %s to its user: %w", path, err)
		}
	}
	return nil
}
