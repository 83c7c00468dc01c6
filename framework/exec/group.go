package exec

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// end ends a command: TERM to its session, KILL after the grace, then KILL to whoever carries its cookie.
// It returns when all of them are gone; the error names those that are not.
func end(ctx context.Context, leader int, c Command, done <-chan struct{}) error {
	grace := c.Grace
	if grace <= 0 {
		grace = DefaultGrace
	}
	signalSession(leader, unix.SIGTERM)
	// A stopped process acts on TERM only when it continues.
	signalSession(leader, unix.SIGCONT)
	if !awaitSession(leader, grace, done) {
		deadline := time.Now().Add(killWait)
		for {
			signalSession(leader, unix.SIGKILL)
			// Again and again: a fork may have slipped through between the listing and the signal.
			if awaitSession(leader, 5*pollInterval, done) || time.Now().After(deadline) {
				break
			}
		}
	}
	var errs []error
	left, err := session(leader)
	if err != nil {
		errs = append(errs, err)
	}
	if len(left) > 0 {
		errs = append(errs, fmt.Errorf("still running after KILL: %s", list(left)))
	}
	if name, value, ok := strings.Cut(c.Cookie, "="); ok {
		// Without the caller's end: that is when this has to happen.
		if _, err := KillCookie(context.WithoutCancel(ctx), name, value, 0); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// awaitSession waits until the leader is reaped and nobody of its session is left.
func awaitSession(leader int, limit time.Duration, done <-chan struct{}) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if ended(done) {
			if left, err := session(leader); err == nil && len(left) == 0 {
				return true
			}
		}
		select {
		case <-deadline.C:
			return false
		case <-tick.C:
		}
	}
}

// session lists the living processes of the leader's process group and session. The session is the wider of
// the two: a script with job control ("set -m") gives its children groups of their own.
func session(leader int) ([]Process, error) {
	var found []Process
	err := eachProcess(func(pid int) {
		s, err := readStat(pid)
		if err == nil && !s.dead() && (s.group == leader || s.session == leader) {
			found = append(found, Process{PID: pid, StartTime: s.start, Command: commandLine(pid, s.comm)})
		}
	})
	return found, err
}

// signalSession signals every member that it sees. One that cannot be seen, or signalled, is left to the next listing.
func signalSession(leader int, signal unix.Signal) {
	members, _ := session(leader)
	for _, member := range members {
		_ = member.Signal(signal)
	}
}

// list names processes for an error.
func list(processes []Process) string {
	names := make([]string, 0, len(processes))
	for _, p := range processes {
		names = append(names, fmt.Sprintf("%d (%s)", p.PID, cut(p.Command, maxDescription)))
	}
	return strings.Join(names, ", ")
}
