package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"grenade/hack/internal/harness"
)

// saboteur runs runs and breaks them.
type saboteur struct {
	site harness.Site
	// look takes a snapshot of the host, and before is the one without any run.
	look   func() (harness.Snapshot, error)
	before harness.Snapshot
	// layers is the directory with the stages' base clouds, plans what the runs
	// on them consist of.
	layers string
	plans  map[string][]harness.Row
	// plugins are checkouts of plugins of other repositories, by name.
	plugins map[string]string
}

// settings are those of every run here, the green one included, so that nothing
// but the sabotage differs.
func settings() []string {
	return []string{"SCRIPT_TIMEOUT=" + scriptTimeout.String(), "KEEP=never", "RESUME=False"}
}

// expectation is how a run must end.
type expectation string

const (
	red   expectation = "red"
	green expectation = "green"
)

// undisturbed runs the stage's whole upgrade, which must be green, and returns its
// rows.
func (s *saboteur) undisturbed(ctx context.Context, on stage) (rows []harness.Row, err error) {
	env, args := s.onStage(on)
	run, err := s.site.Start(ctx, "0-undisturbed-"+on.name, env, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, run.End(ctx)) }()
	code, err := run.Wait(ctx)
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, fmt.Errorf("a run without sabotage ended with exit %d instead of green; output: %s", code, run.Log())
	}
	begin, err := run.Begin()
	if err != nil {
		return nil, err
	}
	verdict, err := harness.ReadVerdict(begin.Results)
	if err != nil {
		return nil, err
	}
	return verdict.Plan(), s.nothingLeft()
}

// commit runs everything, breaks it and judges how the run ended.
func (s *saboteur) commit(ctx context.Context, one sabotage, want expectation, name string) (detail string, err error) {
	plan, err := s.plan(one.on)
	if err != nil {
		return "", err
	}
	env, args := s.onStage(one.on)
	run, err := s.site.Start(ctx, name, env, args...)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, run.End(ctx)) }()
	if _, err := run.Until(ctx, one.trigger(), one.when); err != nil {
		return "", err
	}
	begin, err := run.Begin()
	if err != nil {
		return "", err
	}
	here := scene{site: s.site, run: run, id: begin.Run}
	did, err := s.act(ctx, one, &here)
	if err != nil {
		return did, fmt.Errorf("the sabotage itself failed, which proves nothing: %w", err)
	}
	code, err := run.Wait(ctx)
	if err != nil {
		return did, err
	}
	verdict, err := harness.ReadVerdict(begin.Results)
	if err != nil {
		return did, err
	}
	first, failed := verdict.FirstFailed()
	seen := "green"
	if failed {
		seen = "red at " + first.String() + ": " + first.Why()
	}
	detail = fmt.Sprintf("%s; %s (exit %d)", strings.ReplaceAll(did, "\n", ", "), seen, code)
	if want == green {
		if code != 0 || failed {
			return detail, fmt.Errorf("without these checks it must be green; results: %s", begin.Results)
		}
		return detail, s.nothingLeft()
	}
	if code != 1 || !failed || first.Row != one.expected {
		return detail, fmt.Errorf("it must be red at %s (exit 1); results: %s", one.expected, begin.Results)
	}
	err = harness.CheckJUnit(begin.Results, plan, one.expected, one.shown)
	if one.after != nil {
		err = errors.Join(err, one.after(ctx, here, verdict))
	}
	return detail, errors.Join(err, s.nothingLeft())
}

// act breaks it while the suite stands still, so that nothing overtakes the
// sabotage.
func (s *saboteur) act(ctx context.Context, one sabotage, here *scene) (did string, err error) {
	suite, err := here.run.Suite()
	if err != nil {
		return "", err
	}
	if err := suite.Signal(syscall.SIGSTOP); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, suite.Signal(syscall.SIGCONT)) }()
	if here.inside, err = harness.FindInside(here.id); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return one.act(ctx, *here)
}

func (s *saboteur) nothingLeft() error {
	now, err := s.look()
	if err != nil {
		return err
	}
	return now.NothingLeftSince(s.before)
}
