package harness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Process is one process of the host, containers included.
type Process struct {
	PID, Parent, Group, Session int
	// Start is the start time in clock ticks since boot: with the PID it names
	// the process for good (proc(5), /proc/pid/stat, field 22).
	Start uint64
	// Comm is the name, cut to 15 bytes by the kernel.
	Comm string
	// State is R, S, D, T (stopped), Z (zombie) and so on.
	State byte
}

// String names the process for a message.
func (p Process) String() string { return fmt.Sprintf("%s (pid %d)", p.Comm, p.PID) }

// Cmdline is the process's command line with spaces between the arguments, "" when
// it is gone or has none.
func (p Process) Cmdline() string {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID), "cmdline"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.ReplaceAll(string(content), "\x00", " "))
}

// Getenv returns the variable as it was when the process was started, and whether
// it was set. A process that is gone, or not ours to look at, has none.
func (p Process) Getenv(name string) (string, bool) {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.PID), "environ"))
	if err != nil {
		return "", false
	}
	for entry := range strings.SplitSeq(string(content), "\x00") {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value, true
		}
	}
	return "", false
}

// Alive tells whether the very process still runs; a zombie does not.
func (p Process) Alive() bool {
	now, err := ReadProcess(p.PID)
	return err == nil && now.Start == p.Start && now.State != 'Z'
}

// Signal sends the signal, unless the PID belongs to somebody else by now.
func (p Process) Signal(signal syscall.Signal) error {
	now, err := ReadProcess(p.PID)
	if err != nil {
		return err
	}
	if now.Start != p.Start {
		return fmt.Errorf("signal %s: %w", p, os.ErrProcessDone)
	}
	if err := syscall.Kill(p.PID, signal); err != nil {
		return fmt.Errorf("signal %s: %w", p, err)
	}
	return nil
}

// ReadProcess reads one process from /proc. It is fs.ErrNotExist when there is none.
func ReadProcess(pid int) (Process, error) {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if errors.Is(err, syscall.ESRCH) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Process{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return parseStat(string(content))
}

// parseStat reads a line of /proc/pid/stat. The name in parentheses may hold
// anything, parentheses and newlines included.
func parseStat(line string) (Process, error) {
	open, shut := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || shut < open {
		return Process{}, fmt.Errorf("not a line of /proc/pid/stat: %q", line)
	}
	fields := strings.Fields(line[shut+1:])
	// Field 3 of proc(5) is fields[0].
	const state, parent, group, session, start = 0, 1, 2, 3, 19
	if len(fields) <= start {
		return Process{}, fmt.Errorf("a short line of /proc/pid/stat: %q", line)
	}
	process := Process{Comm: line[open+1 : shut], State: fields[state][0]}
	var errs [5]error
	process.PID, errs[0] = strconv.Atoi(strings.TrimSpace(line[:open]))
	process.Parent, errs[1] = strconv.Atoi(fields[parent])
	process.Group, errs[2] = strconv.Atoi(fields[group])
	process.Session, errs[3] = strconv.Atoi(fields[session])
	process.Start, errs[4] = strconv.ParseUint(fields[start], 10, 64)
	if err := errors.Join(errs[:]...); err != nil {
		return Process{}, fmt.Errorf("a line of /proc/pid/stat: %w", err)
	}
	return process, nil
}

// Processes lists the processes that want accepts, zombies left out, by PID.
func Processes(want func(Process) bool) ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	var found []Process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// It may end while we look.
		process, err := ReadProcess(pid)
		if err != nil || process.State == 'Z' {
			continue
		}
		if want(process) {
			found = append(found, process)
		}
	}
	slices.SortFunc(found, func(a, b Process) int { return a.PID - b.PID })
	return found, nil
}
