package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"grenade/framework/exec"
)

// bashResult is what a bash left: its exit code and what it said.
type bashResult struct {
	exit     int
	timedOut bool
	said     []string
}

// cookie marks everything that a bash of ours starts.
const cookie = "GRENADE_BASH"

// runBash runs bash on the user's text and leaves nothing running: a localrc
// may start things, which exec.Run would let live. The error is set when bash
// could not be run, or ctx ended; a failed or stopped script is a result.
func runBash(ctx context.Context, c exec.Command, args ...string) (bashResult, error) {
	dir, err := os.MkdirTemp("", "grenade-bash-")
	if err != nil {
		return bashResult{}, fmt.Errorf("running bash: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in TMPDIR is no reason to fail
	c.Args = append([]string{"bash", "--noprofile", "--norc"}, args...)
	c.Log = filepath.Join(dir, "said")
	c.Cookie = cookie + "=" + dir // unique, so no other run's processes are meant
	c.Grace = 500 * time.Millisecond

	result, err := exec.Run(ctx, c)
	_, killErr := exec.KillCookie(context.WithoutCancel(ctx), cookie, dir, 0)
	var failed *exec.Error
	switch {
	case err != nil && (!errors.As(err, &failed) || failed.Cancelled || (failed.ExitCode < 0 && !failed.TimedOut)):
		return bashResult{}, fmt.Errorf("running bash: %w", err)
	case killErr != nil:
		return bashResult{}, fmt.Errorf("ending what bash started: %w", killErr)
	}
	text, err := os.ReadFile(c.Log)
	if err != nil {
		return bashResult{}, fmt.Errorf("running bash: %w", err)
	}
	said := bashResult{exit: result.ExitCode, timedOut: failed != nil && failed.TimedOut}
	if trimmed := strings.TrimSpace(string(text)); trimmed != "" {
		said.said = strings.Split(trimmed, "\n")
	}
	return said, nil
}

// cleanEnviron leaves out what changes how bash itself behaves, and gives
// English messages.
func cleanEnviron(environ []string) []string {
	clean := []string{"LC_ALL=C.UTF-8", "LANGUAGE="}
	path := "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		switch {
		case name == "PATH":
			path = entry
		case name == "BASH_ENV", name == "ENV", name == "SHELLOPTS", name == "BASHOPTS", name == "POSIXLY_CORRECT",
			name == "LC_ALL", name == "LANGUAGE", strings.HasPrefix(name, "BASH_FUNC_"):
		default:
			clean = append(clean, entry)
		}
	}
	return append(clean, path)
}
