package harness

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Site is where runs happen: a checkout, and the places on the host that its runs
// use.
type Site struct {
	// Checkout is the source tree.
	Checkout string
	// StackRoot and SaveDir are what the settings of the same names say.
	StackRoot, SaveDir string
	// Logs is where the output of runs goes.
	Logs string
}

// NewSite describes the checkout's site from the environment, as a run started
// from here would see it. What localrc says is not looked at.
func NewSite(checkout, logs string, getenv func(string) string) (Site, error) {
	checkout, err := filepath.Abs(checkout)
	if err != nil {
		return Site{}, fmt.Errorf("the checkout: %w", err)
	}
	if _, err := os.Stat(filepath.Join(checkout, "hack", "upgrade")); err != nil {
		return Site{}, fmt.Errorf("%s is no checkout of this project: %w", checkout, err)
	}
	stack := cmp.Or(getenv("STACK_ROOT"), "/opt/stack")
	return Site{
		Checkout: checkout, StackRoot: stack, Logs: logs,
		SaveDir: cmp.Or(getenv("SAVE_DIR"), filepath.Join(stack, "save")),
	}, nil
}

// Journal is the path of the journal of the site's run.
func (s Site) Journal() string { return filepath.Join(s.SaveDir, "run.jsonl") }

// GrenadeDir is where a run materialises its shell and its in-tree plugins.
func (s Site) GrenadeDir() string { return filepath.Join(s.SaveDir, "grenade") }

// Node is the directory of the site's node.
func (s Site) Node() string { return filepath.Join(s.StackRoot, "node") }

// Start starts a run; name is the name of its log. Its results go beside the logs,
// whatever checkout it is of.
func (s Site) Start(ctx context.Context, name string, env []string, args ...string) (*Run, error) {
	env = append([]string{"RESULTS_DIR=" + filepath.Join(s.Logs, "runs")}, env...)
	return Start(ctx, Launch{
		Checkout: s.Checkout, Args: args, Env: env,
		Journal: s.Journal(), Log: filepath.Join(s.Logs, name+".log"),
	})
}

// Clean runs `make clean`.
func (s Site) Clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	output, err := s.command(ctx, "make", "clean")
	if err != nil {
		return fmt.Errorf("make clean: %w: %s", err, bytes.TrimSpace(output))
	}
	return nil
}

// SaveLayer runs `hack/cloud save`: the cloud that is there becomes a layer.
func (s Site) SaveLayer(ctx context.Context, dir string) error {
	output, err := s.command(ctx, "go", "run", "./hack/cloud", "save", dir)
	if err != nil {
		return fmt.Errorf("hack/cloud save: %w: %s", err, bytes.TrimSpace(output))
	}
	return nil
}

// InUse tells whether a run has left something here that somebody may want to keep.
func (s Site) InUse() (bool, error) {
	_, err := os.Stat(s.Node())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("is there a cloud: %w", err)
	}
	return true, nil
}

// Remains lists the site's directories that are there although everything should
// be gone.
func (s Site) Remains(dirs ...string) ([]string, error) {
	var left []string
	for _, dir := range dirs {
		switch _, err := os.Lstat(dir); {
		case err == nil:
			left = append(left, "directory: "+dir)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("what remains: %w", err)
		}
	}
	return left, nil
}

// Commit names what is tested: the commit, and a hash of the changes on top.
func (s Site) Commit(ctx context.Context) (string, error) {
	commit, err := s.command(ctx, "git", "rev-parse", "--short=12", "HEAD")
	if err != nil {
		return "", fmt.Errorf("which commit is this: %w: %s", err, commit)
	}
	name := strings.TrimSpace(string(commit))
	changes, err := s.command(ctx, "bash", "-o", "pipefail", "-c",
		`{ git diff HEAD; git ls-files -z --others --exclude-standard | xargs -0r sha256sum; } | sha256sum | cut -c1-12`)
	if err != nil {
		return "", fmt.Errorf("what has changed since %s: %w: %s", name, err, changes)
	}
	// The hash of nothing.
	if hash := strings.TrimSpace(string(changes)); hash != "e3b0c44298fc" {
		name += "+" + hash
	}
	return name, nil
}

func (s Site) command(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = s.Checkout
	cmd.Env = Environment(nil)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	output, err := cmd.CombinedOutput()
	if err != nil {
		return output, fmt.Errorf("%s: %w", name, err)
	}
	return output, nil
}

// WaitGone waits until none of the processes that list returns is left.
func WaitGone(ctx context.Context, what string, list func() ([]Process, error)) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		left, err := list()
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: still there: %v: %w", what, left, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
