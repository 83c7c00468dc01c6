package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"grenade/hack/internal/harness"
)

// projects are those of every run here: the smallest cloud in which something lives
// through an upgrade.
const projects = "keystone || placement || glance"

// tester runs runs.
type tester struct {
	site   harness.Site
	before harness.Snapshot // of the host without any run
	// scratch is a directory of this call, that the stack user can read.
	scratch string
	// grenade is a checkout of upstream's, "" for none.
	grenade string
}

// ended is what a run came to.
type ended struct {
	code    int
	results string
	verdict harness.Verdict
	log     string
}

// String is its verdict in a line.
func (e ended) String() string {
	if first, failed := e.verdict.FirstFailed(); failed {
		return fmt.Sprintf("red at %s: %s (exit %d)", first, first.Why(), e.code)
	}
	unseen := 0
	for _, row := range e.verdict.Rows {
		if row.Outcome == "not checked" {
			unseen++
		}
	}
	return fmt.Sprintf("%d rows, %d not checked (exit %d)", len(e.verdict.Rows), unseen, e.code)
}

// mustBe is an error unless the run ended so; the zero row stands for green, in which
// every project's upgrade has been proved.
func (e ended) mustBe(red harness.Row) error {
	first, failed := e.verdict.FirstFailed()
	for _, project := range strings.Split(projects, " || ") {
		row, _ := e.verdict.Find(harness.Row{Phase: upgrade, Project: project})
		if red == (harness.Row{}) && row.Outcome != "passed" {
			return fmt.Errorf("upgrade/%s must have passed, it is %q: %s; results: %s, output: %s", project, row.Outcome, row.Why(), e.results, e.log)
		}
	}
	switch {
	case red == (harness.Row{}) && (failed || e.code != 0):
		return fmt.Errorf("it must be green; results: %s, output: %s", e.results, e.log)
	case red != (harness.Row{}) && (first.Row != red || e.code != 1):
		return fmt.Errorf("it must be red at %s (exit 1); results: %s, output: %s", red, e.results, e.log)
	default:
		return nil
	}
}

// upgrade runs hack/upgrade to its end.
func (t *tester) upgrade(ctx context.Context, name string, env []string, filter string) (end ended, err error) {
	run, err := t.site.Start(ctx, name, append([]string{"RESUME=False", "KEEP=never"}, env...), "--label-filter="+filter)
	if err != nil {
		return ended{}, err
	}
	defer func() { err = errors.Join(err, run.End(ctx)) }()
	code, err := run.Wait(ctx)
	if err != nil {
		return ended{}, err
	}
	begin, err := run.Begin()
	if err != nil {
		return ended{}, err
	}
	verdict, err := harness.ReadVerdict(begin.Results)
	return ended{code: code, results: begin.Results, verdict: verdict, log: run.Log()}, err
}

// base is a cloud that stands at the base release, and is left alone.
type base struct{ inside harness.Inside }

// build makes one. Two phases are no single one, so a cloud is built; nothing is
// stopped.
func (t *tester) build(ctx context.Context, name string) (base, error) {
	run, err := t.site.Start(ctx, name, []string{"RESUME=False", "KEEP=always"}, "--label-filter=("+projects+") && (verify_base || early_create)")
	if err != nil {
		return base{}, err
	}
	code, err := run.Wait(ctx)
	if err != nil {
		return base{}, errors.Join(err, run.End(ctx))
	}
	if code != 0 {
		return base{}, fmt.Errorf("the base cloud was not made: exit %d; output: %s", code, run.Log())
	}
	begin, err := run.Begin()
	if err != nil {
		return base{}, err
	}
	inside, err := harness.FindInside(begin.Run)
	return base{inside}, err
}

// description is what hack/cloud describe prints.
type description struct {
	AuthURL string                                       `json:"auth_url"`
	Region  string                                       `json:"region"`
	Admin   struct{ Username, Password, Project string } `json:"admin"`
}

// describe writes the description of the cloud that stands into a file, which holds a
// password.
func (t *tester) describe(ctx context.Context) (path string, cloud description, err error) {
	cmd := exec.CommandContext(ctx, "go", "run", "./hack/cloud", "describe")
	cmd.Dir, cmd.Env = t.site.Checkout, harness.Environment(nil)
	content, err := cmd.Output()
	if err != nil {
		return "", cloud, fmt.Errorf("hack/cloud describe: %w", err)
	}
	if err := json.Unmarshal(content, &cloud); err != nil {
		return "", cloud, fmt.Errorf("hack/cloud describe: %w", err)
	}
	path = filepath.Join(t.scratch, "cloud.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", cloud, fmt.Errorf("the cloud's description: %w", err)
	}
	return path, cloud, nil
}

// cleanUp removes the cloud, and holds when nothing is left of it.
func (t *tester) cleanUp(ctx context.Context) error {
	if err := t.site.Clean(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return t.nothingLeft()
}

func (t *tester) nothingLeft() error {
	now, err := harness.TakeSnapshot()
	if err != nil {
		return err
	}
	return now.NothingLeftSince(t.before)
}

// program writes a shell script that can be run.
func program(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write a script: %w", err)
	}
	// A file that is there keeps its mode when it is written.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("write a script: %w", err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		return fmt.Errorf("write a script: %w", err)
	}
	return nil
}

// copied copies a directory into scratch and returns the copy.
func (t *tester) copied(ctx context.Context, dir, name string) (string, error) {
	to := filepath.Join(t.scratch, name)
	if err := os.RemoveAll(to); err != nil {
		return "", fmt.Errorf("copy %s: %w", dir, err)
	}
	if output, err := exec.CommandContext(ctx, "cp", "-a", "--", dir, to).CombinedOutput(); err != nil {
		return "", fmt.Errorf("copy %s: %w: %s", dir, err, output)
	}
	return to, nil
}
