package exec

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// FindCookie lists the living processes whose environment holds name=value; an empty value means any. It
// sees what is in /proc/pid/environ: the environment a process was started with, of all processes that the
// caller may read (root: all, containers' included). The caller itself is never listed. A program that
// overwrites that memory to change its title is not found.
func FindCookie(name, value string) ([]Process, error) {
	if name == "" {
		return nil, fmt.Errorf("find processes by cookie: no name given")
	}
	all, err := pids()
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, pid := range all {
		if pid == os.Getpid() {
			continue
		}
		// The start time is read before the environment and compared after it: both are of one process.
		s, err := readStat(pid)
		if err != nil || s.dead() || !carries(pid, name, value) {
			continue
		}
		if p, err := FindProcess(pid); err == nil && p.StartTime == s.start {
			found = append(found, p)
		}
	}
	return found, nil
}

// carries looks into one process's environment; one that is gone or not ours to read carries nothing.
func carries(pid int, name, value string) bool {
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if rest, ok := bytes.CutPrefix(entry, []byte(name+"=")); ok && (value == "" || string(rest) == value) {
			return true
		}
	}
	return false
}

// KillCookie ends every process that FindCookie lists: TERM and the grace first, unless grace is 0, then
// KILL, until none is left. It returns those that it found. The error names what is left after ten seconds,
// or when the context ends.
func KillCookie(ctx context.Context, name, value string, grace time.Duration) ([]Process, error) {
	found, err := FindCookie(name, value)
	if err != nil || len(found) == 0 {
		return found, err
	}
	if grace > 0 {
		for _, p := range found {
			_ = p.Signal(unix.SIGTERM)
			_ = p.Signal(unix.SIGCONT)
		}
		waitAll(ctx, found, grace)
	}
	left, err := FindCookie(name, value)
	for deadline := time.Now().Add(killWait); err == nil && len(left) > 0; left, err = FindCookie(name, value) {
		for _, p := range left {
			err = p.Signal(unix.SIGKILL)
			if err != nil {
				return found, err
			}
		}
		waitAll(ctx, left, time.Second)
		if time.Now().After(deadline) || ctx.Err() != nil {
			if left, err = FindCookie(name, value); err == nil && len(left) > 0 {
				return found, fmt.Errorf("still running after KILL: %s", list(left))
			}
			return found, err
		}
	}
	return found, err
}

// waitAll waits until all have ended, at most for the limit.
func waitAll(ctx context.Context, processes []Process, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, p := range processes {
		if p.Wait(ctx) != nil && ctx.Err() != nil {
			return
		}
	}
}
