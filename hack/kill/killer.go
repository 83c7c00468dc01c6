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

// killer attacks the runs of one site.
type killer struct {
	site harness.Site
	// look takes a snapshot of the host, and before is the one without any run.
	look   func() (harness.Snapshot, error)
	before harness.Snapshot
}

// newKiller looks at the host, which must hold no run now.
func newKiller(site harness.Site, look func() (harness.Snapshot, error)) (*killer, error) {
	before, err := look()
	if err != nil {
		return nil, err
	}
	return &killer{site: site, look: look, before: before}, nil
}

// wholeRun runs everything; it must be green and leave nothing. It returns the
// phases.
func (k *killer) wholeRun(ctx context.Context, name string) (phases []string, err error) {
	run, err := k.site.Start(ctx, name, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, run.End(ctx)) }()
	return k.toItsEnd(ctx, run)
}

// toItsEnd waits for a green end after which nothing is left.
func (k *killer) toItsEnd(ctx context.Context, run *harness.Run) ([]string, error) {
	code, err := run.Wait(ctx)
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, fmt.Errorf("a whole run ended with exit %d instead of green; output: %s", code, run.Log())
	}
	return run.Phases(), k.nothingLeft(k.site.Node())
}

// attack kills the victim when the phase has started, applies the cure and looks
// for what is left.
func (k *killer) attack(ctx context.Context, a attack) (detail string, err error) {
	name := strings.NewReplacer(" ", "-", ",", "").Replace(a.String())
	run, err := k.site.Start(ctx, name, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, run.End(ctx)) }()

	_, err = run.Until(ctx, a.phase+" to start", func(event harness.Event) bool {
		if a.phase == setupPhase {
			return event.Kind == harness.KindSetup && event.State == harness.Started
		}
		return event.Kind == harness.KindRow && event.State == harness.Started && event.Phase == a.phase
	})
	if err != nil {
		return "", err
	}
	begin, err := run.Begin()
	if err != nil {
		return "", err
	}
	find := run.Suite
	if a.victim == cli {
		find = run.CLI
	}
	process, err := find()
	if err != nil {
		return "", err
	}
	if err := process.Signal(syscall.SIGKILL); err != nil {
		return "", err
	}
	killed := time.Now()
	code, err := run.Wait(ctx)
	if err != nil {
		return "", err
	}
	detail = fmt.Sprintf("hack/upgrade ended %.1f s after the kill with exit %d", time.Since(killed).Seconds(), code)
	if code == 0 {
		return detail, errors.New("a killed run says that it is green")
	}
	return detail, k.cure(ctx, a.cure, begin.Run, name)
}

// cure applies the cure to what the killed run left.
func (k *killer) cure(ctx context.Context, c cure, killed, name string) error {
	if c == clean {
		if err := k.site.Clean(ctx); err != nil {
			return err
		}
		return k.nothingLeft(k.site.Node(), k.site.SaveDir)
	}
	return k.nextStart(ctx, c, killed, name+"-next")
}

// nextStart starts another run. By the time its set-up is done nothing of the
// killed one may be left; then it is ended, or seen through to its green end, and
// nothing may be left of itself either.
func (k *killer) nextStart(ctx context.Context, c cure, killed, name string) (err error) {
	run, err := k.site.Start(ctx, name, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.End(ctx)) }()
	_, err = run.Until(ctx, "the first row of the next run", func(event harness.Event) bool {
		return event.Kind == harness.KindRow && event.Run != killed
	})
	if err != nil {
		return err
	}
	carriers, err := harness.CarriersOf(killed)
	if err != nil {
		return err
	}
	if len(carriers) > 0 {
		return fmt.Errorf("the next start left processes of run %s: %v", killed, carriers)
	}
	if c == green {
		_, err := k.toItsEnd(ctx, run)
		return err
	}
	if err := run.End(ctx); err != nil {
		return err
	}
	return k.nothingLeft(k.site.Node())
}

// nothingLeft checks the host against what it held before the first run, and that
// the directories are gone.
func (k *killer) nothingLeft(gone ...string) error {
	now, err := k.look()
	if err != nil {
		return err
	}
	left := now.LeftSince(k.before)
	remains, err := k.site.Remains(gone...)
	if err != nil {
		return err
	}
	if left = append(left, remains...); len(left) > 0 {
		return fmt.Errorf("left behind:\n  %s", strings.Join(left, "\n  "))
	}
	return nil
}
