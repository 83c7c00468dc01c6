package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"grenade/hack/internal/harness"
)

// externalCases upgrade a cloud that another run has built through its API and its
// owner's commands alone.
func (t *tester) externalCases() []harness.Case {
	commands := filepath.Join(t.site.Checkout, "hack", "clouds", "commands")
	return []harness.Case{
		{Name: "external: its owner's commands: green", Do: func(ctx context.Context) (string, error) {
			return t.external(ctx, "external", commands, harness.Row{})
		}},
		{Name: "external: glance's upgrade is true: red", Do: func(ctx context.Context) (string, error) {
			idle, err := t.copied(ctx, commands, "idle")
			if err != nil {
				return "", err
			}
			if err := program(filepath.Join(idle, "glance", "upgrade"), "true"); err != nil {
				return "", err
			}
			return t.external(ctx, "external-idle", idle, harness.Row{Phase: "upgrade", Project: "glance"})
		}},
		{Name: "external: glance's upgrade starts what was there: red", Do: func(ctx context.Context) (string, error) {
			old, err := t.copied(ctx, commands, "old")
			if err != nil {
				return "", err
			}
			if err := program(filepath.Join(old, "glance", "upgrade"), startsOldGlance); err != nil {
				return "", err
			}
			return t.external(ctx, "external-old", old, harness.Row{Phase: "upgrade", Project: "glance"})
		}},
	}
}

// startsOldGlance is an upgrade that starts the base release again.
const startsOldGlance = `exec "$(dirname "$0")/../in-node" old '
    source "$GRENADE_DIR/grenaderc"
    source "$TOP_DIR/functions"
    source "$TOP_DIR/stackrc"
    source "$TOP_DIR/lib/glance"
    start_glance'`

func (t *tester) external(ctx context.Context, name, commands string, red harness.Row) (detail string, err error) {
	defer func() { err = errors.Join(err, t.cleanUp(ctx)) }()
	if _, err := t.build(ctx, name+"-base"); err != nil {
		return "", err
	}
	described, cloud, err := t.describe(ctx)
	if err != nil {
		return "", err
	}
	// A run of its own, that knows nothing of the one that built the cloud.
	elsewhere := *t
	elsewhere.site.StackRoot = filepath.Join(t.scratch, "stack")
	elsewhere.site.SaveDir = filepath.Join(elsewhere.site.StackRoot, "save")
	defer func() { err = errors.Join(err, os.RemoveAll(elsewhere.site.StackRoot)) }()
	end, err := elsewhere.upgrade(ctx, name, []string{
		"GRENADE_TREE=external", "EXTERNAL_COMMANDS=" + commands, "STACK_ROOT=" + elsewhere.site.StackRoot,
		"OS_AUTH_URL=" + cloud.AuthURL, "OS_REGION_NAME=" + cloud.Region, "OS_USERNAME=" + cloud.Admin.Username,
		"OS_PASSWORD=" + cloud.Admin.Password, "OS_PROJECT_NAME=" + cloud.Admin.Project,
		"OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
		"CLOUD_JSON=" + described, "CLOUD_ROOT=" + t.site.StackRoot,
	}, projects)
	if err != nil {
		return "", err
	}
	return end.String(), end.mustBe(red)
}
