package harness

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Inside runs commands in a run's node, past the suite.
type Inside struct{ leader Process }

// FindInside finds the node of the run: the systemd whose parent is a
// systemd-nspawn that carries the run's cookie.
func FindInside(run string) (Inside, error) {
	containers, err := Processes(func(p Process) bool {
		value, _ := p.Getenv(RunCookie)
		return p.Comm == "systemd-nspawn" && value == run
	})
	if err != nil {
		return Inside{}, err
	}
	for _, container := range containers {
		leaders, err := Processes(func(p Process) bool { return p.Parent == container.PID && p.Comm == "systemd" })
		if err != nil {
			return Inside{}, err
		}
		if len(leaders) == 1 {
			return Inside{leader: leaders[0]}, nil
		}
	}
	return Inside{}, fmt.Errorf("run %s has no node: %d systemd-nspawn carry its id, none has one systemd as child", run, len(containers))
}

// Bash runs the script as root in the node, with errexit, nounset and pipefail,
// and returns its standard output. The error holds what it printed to standard error.
//
// It refuses a leader that shares the host's mounts: what is broken must be the
// node's.
func (i Inside) Bash(ctx context.Context, script string) (string, error) {
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return "", fmt.Errorf("in the node: %w", err)
	}
	its, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(i.leader.PID), "ns", "mnt"))
	if err != nil {
		return "", fmt.Errorf("in the node: %w", err)
	}
	if own == its {
		return "", fmt.Errorf("in the node: %s is in no container", i.leader)
	}
	cmd := exec.CommandContext(ctx, "nsenter", "-t", strconv.Itoa(i.leader.PID), "-a", "--",
		"env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root",
		"bash", "-euo", "pipefail", "-c", script)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("in the node: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
