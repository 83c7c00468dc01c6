package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// FindCookie lists the living processes whose environment holds name=value; an empty value means any. It
// sees what is in /proc/pid/environ: the environment a process was started with, of all processes that the
// caller may read (root: all, containers' included). The caller itself is never listed. A program that
// overwrites that memory to change its title is not found. It takes milliseconds; the error names a process that
// hangs while it loads its program.
func FindCookie(ctx context.Context, name, value string) ([]Process, error) {
	if name == "" {
		return nil, fmt.Errorf("find processes by cookie: no name given")
	}
	var found []Process
	var stuck []error
	err := eachProcess(func(pid int) {
		p, err := carrier(ctx, pid, name, value)
		switch {
		case errors.Is(err, errLoading):
			stuck = append(stuck, err)
		case err == nil:
			found = append(found, p)
		}
	})
	return found, errors.Join(append(stuck, err)...)
}

// errLoading: the environment of a process could not be seen for loadWait, or until the caller gave up.
var errLoading = errors.New("is still loading its program: what it belongs to cannot be told")

// errStranger: a process is gone, or does not carry the cookie, or is not ours to read.
var errStranger = errors.New("no carrier of the cookie")

// carrier gives the process if it lives and its environment holds name=value. While a program is being loaded the
// environment reads as empty, or ends early: what is not in it is asked for again until one program was seen
// before and after.
func carrier(ctx context.Context, pid int, name, value string) (Process, error) {
	ctx, cancel := context.WithTimeout(ctx, loadWait)
	defer cancel()
	s, err := readStat(pid)
	for {
		if err != nil || s.dead() || pid == os.Getpid() {
			return Process{}, errStranger
		}
		var environ []byte
		if environ, err = os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ"); err != nil {
			return Process{}, errStranger
		}
		if holds(environ, name, value) {
			// The start time, read before the environment and after it, says that both are of one process.
			if p, err := FindProcess(pid); err == nil && p.StartTime == s.start {
				return p, nil
			}
			return Process{}, errStranger
		}
		before := s
		if s, err = readStat(pid); err != nil || s.bare() || (s.loaded() && s.program == before.program) {
			return Process{}, errStranger
		}
		select {
		case <-ctx.Done():
			return Process{}, fmt.Errorf("process %d (%s) %w: %w", pid, s.comm, errLoading, context.Cause(ctx))
		case <-time.After(time.Millisecond):
		}
	}
}

// holds looks for name=value, or for any value if it is empty.
func holds(environ []byte, name, value string) bool {
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
	found, err := FindCookie(ctx, name, value)
	if len(found) == 0 {
		return found, err
	}
	if grace > 0 {
		for _, p := range found {
			_ = p.Signal(unix.SIGTERM)
			_ = p.Signal(unix.SIGCONT)
		}
		waitAll(ctx, found, grace)
	}
	left, err := FindCookie(ctx, name, value)
	for deadline := time.Now().Add(killWait); len(left) > 0; left, err = FindCookie(ctx, name, value) {
		for _, p := range left {
			if err := p.Signal(unix.SIGKILL); err != nil {
				return found, err
			}
		}
		waitAll(ctx, left, time.Second)
		if time.Now().After(deadline) || ctx.Err() != nil {
			if left, err = FindCookie(ctx, name, value); len(left) > 0 {
				return found, errors.Join(fmt.Errorf("still running after KILL: %s", list(left)), err)
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
