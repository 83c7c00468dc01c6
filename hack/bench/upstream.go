package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"grenade/framework/exec"
)

//go:embed shell/upstream.sh
var upstreamScript string

// seenUpstream is what a run of upstream's shell has shown.
type seenUpstream struct {
	whole spent         // settings and scripts
	rows  time.Duration // the scripts of all phases alone
}

// errTooLong: upstream did not end within the limit.
var errTooLong = errors.New("upstream did not end within the limit")

// upstream runs the plugins' scripts by upstream's own functions, those of the checkout
// grenade, with its projects left out. The error is errTooLong when that takes longer
// than the limit.
func (s *site) upstream(ctx context.Context, grenade string, size int, limit time.Duration) (result seenUpstream, err error) {
	dir, clock, log := filepath.Join(s.root, "grenade"), filepath.Join(s.root, "clock"), filepath.Join(s.root, "upstream.log")
	var pluginrc strings.Builder
	for i := range size {
		fmt.Fprintf(&pluginrc, "enable_grenade_plugin p%d https://git.example/p%d\n", i, i)
	}
	script := filepath.Join(s.root, "upstream.sh")
	err = errors.Join(copyTree(dir, grenade), os.RemoveAll(filepath.Join(dir, "projects")), os.MkdirAll(filepath.Join(dir, "projects"), 0o755),
		os.WriteFile(filepath.Join(dir, "pluginrc"), []byte(pluginrc.String()), 0o644),
		os.WriteFile(script, []byte(upstreamScript), 0o755))
	if err != nil {
		return result, fmt.Errorf("upstream: %w", err)
	}
	environ := s.environ("")
	environ["GRENADE_DIR"] = dir
	// Upstream's scripts inherit none of these.
	for _, name := range []string{"GRENADE_PROJECT", "TOP_DIR", "LOGDIR", "SAVE_DIR"} {
		delete(environ, name)
	}
	command := exec.Command{Args: []string{"bash", script, clock}, Dir: s.root, Log: log, Timeout: limit}
	for name, value := range environ {
		command.Env = append(command.Env, name+"="+value)
	}
	before, err := now()
	if err != nil {
		return result, err
	}
	ran, err := exec.Run(ctx, command)
	if errors.Is(err, exec.ErrTimeout) {
		return result, errTooLong
	}
	if err != nil {
		return result, fmt.Errorf("upstream's scripts: %w\n%s", err, strings.Join(ran.Tail, "\n"))
	}
	if result.whole, err = since(before); err != nil {
		return result, err
	}
	text, err := os.ReadFile(clock)
	if err != nil {
		return result, fmt.Errorf("upstream: %w", err)
	}
	var first, last int64
	if _, err := fmt.Sscan(string(text), &first, &last); err != nil {
		return result, fmt.Errorf("upstream's clock, %q: %w", text, err)
	}
	result.rows = time.Duration(last-first) * time.Microsecond
	return result, s.saved(size)
}

// saved fails unless each of the plugins has saved what its create saves: or the
// scripts did not run.
func (s *site) saved(size int) error {
	store, err := os.ReadFile(filepath.Join(s.save, "grenade_db.ini"))
	if err != nil {
		return fmt.Errorf("upstream's store: %w", err)
	}
	if count := strings.Count(string(store), "\nid = "+savedID+"\n"); count != size {
		return fmt.Errorf("of %d plugins, %d have saved their value with upstream's functions", size, count)
	}
	return nil
}

// copyTree copies a checkout without its history.
func copyTree(to, from string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("checkout: %w", err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("checkout: %w", err)
	}
	for _, entry := range entries {
		source, target := filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())
		switch {
		case entry.Name() == ".git":
		case entry.IsDir():
			err = os.CopyFS(target, os.DirFS(source))
		case entry.Type().IsRegular():
			var content []byte
			if content, err = os.ReadFile(source); err == nil {
				err = os.WriteFile(target, content, 0o755)
			}
		}
		if err != nil {
			return fmt.Errorf("copy of %s: %w", source, err)
		}
	}
	return nil
}
