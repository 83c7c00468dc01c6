package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"grenade/hack/internal/harness"
)

// hangSeconds is how long the hanging script's children would sleep: a number by
// which they are found in the process list.
const hangSeconds = "86391"

// hangingScript makes placement's resources.sh hang in verify post-upgrade, with a
// child in a session of its own, which a kill of the process group does not reach.
func hangingScript() sabotage {
	return sabotage{
		name:     "placement's resources.sh hangs, with a child in a session of its own",
		on:       identity(),
		expected: harness.Row{Phase: verifyPost, Project: placement},
		catcher:  byLimit,
		shown:    marker,
		when:     started(create),
		act: func(_ context.Context, s scene) (string, error) {
			path, err := scriptOf(s.site, placement, "resources.sh")
			if err != nil {
				return "", err
			}
			return "added a hang to " + path, rewrite(path, func(script string) string {
				return withPrologue(script, `if [[ ${1-} == verify && ${2-} == post-upgrade ]]; then
    echo '`+marker+` resources.sh hangs'
    setsid sleep `+hangSeconds+` &
    sleep `+hangSeconds+`
fi
`)
			})
		},
		after: func(_ context.Context, s scene, verdict harness.Verdict) error {
			return errors.Join(hangIsGone(), evidenceAndDestroy(s, verdict))
		},
	}
}

// hangIsGone checks that no child of the hanging script lives.
func hangIsGone() error {
	left, err := harness.Processes(func(p harness.Process) bool {
		return strings.Contains(p.Cmdline(), "sleep "+hangSeconds)
	})
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("children of the hanging script are left: %v", left)
	}
	return nil
}

// evidenceAndDestroy checks that the hanging script's output was kept and that
// every project's destroy was still tried.
func evidenceAndDestroy(s scene, verdict harness.Verdict) error {
	row, found := verdict.Find(harness.Row{Phase: verifyPost, Project: placement})
	if !found {
		return errors.New("the report lacks the row that hung")
	}
	text, err := verdict.ReadLog(row)
	if err != nil {
		return err
	}
	if !strings.Contains(text, marker) {
		return fmt.Errorf("the hanging script's output is not in %s", row.Log)
	}
	tried := map[string]bool{}
	for _, event := range s.run.Events() {
		if event.Kind == harness.KindRow && event.Phase == destroy && event.State == harness.Started {
			tried[event.Project] = true
		}
	}
	for _, project := range []string{keystone, glance, placement} {
		if !tried[project] {
			return fmt.Errorf("destroy of %s was not tried after the hang", project)
		}
	}
	return nil
}
