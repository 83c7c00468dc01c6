package main

import (
	"context"
	"errors"
	"path/filepath"

	"grenade/hack/internal/harness"
)

// upstreamCases upgrade a cloud of ours by upstream's own plugins.
func (t *tester) upstreamCases() []harness.Case {
	return []harness.Case{
		{Name: "upstream's projects, unmodified: green", Do: func(ctx context.Context) (string, error) {
			return t.ofUpstream(ctx, "upstream", filepath.Join(t.grenade, "projects"), projects, harness.Row{})
		}},
		{Name: "upstream's projects, but glance's upgrade.sh does nothing: red", Do: func(ctx context.Context) (string, error) {
			idle, err := t.copied(ctx, filepath.Join(t.grenade, "projects"), "idle-projects")
			if err != nil {
				return "", err
			}
			if err := program(filepath.Join(idle, "40_glance", "upgrade.sh"), "true"); err != nil {
				return "", err
			}
			return t.ofUpstream(ctx, "upstream-idle", idle, projects, harness.Row{Phase: "upgrade", Project: "glance"})
		}},
	}
}

func (t *tester) ofUpstream(ctx context.Context, name, dir, filter string, red harness.Row) (detail string, err error) {
	defer func() { err = errors.Join(err, t.nothingLeft()) }()
	end, err := t.upgrade(ctx, name, []string{"GRENADE_PROJECTS=" + dir}, filter)
	if err != nil {
		return "", err
	}
	return end.String(), end.mustBe(red)
}
