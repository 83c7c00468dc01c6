package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"grenade/framework/checkout"
	"grenade/framework/config"
	"grenade/framework/tree"
)

// repository is DevStack's, as upstream Grenade finds it.
func repository(settings *config.Config) string { return settings.GitBase + "/openstack/devstack" }

// settingOf is the setting that names a side's branch.
func settingOf(side config.Side) string {
	if side == config.Target {
		return "TARGET_DEVSTACK_BRANCH"
	}
	return "BASE_DEVSTACK_BRANCH"
}

func release(settings *config.Config, side config.Side) config.Release {
	if side == config.Target {
		return settings.Target
	}
	return settings.Base
}

// fetch gets a side's tree; top is before its path on this machine. A tree that is there stays as it is, unless the
// settings ask for it anew. The error belongs to ErrSetting where the user must decide, else to ErrEnvironment.
func (c *Cloud) fetch(ctx context.Context, side config.Side, top string) error {
	settings := c.options.Config
	branch := release(settings, side).Branch
	git := checkout.Git{
		Offline: settings.Offline, Anew: settings.Reclone, Never: settings.ErrorOnClone, Timeout: settings.ScriptTimeout,
		Progress: func(what string) { c.options.Progress(fmt.Sprintf("%s tree: %s", side, what)) },
	}
	got, err := git.Ensure(ctx, checkout.Source{URL: repository(settings), Ref: branch, Dir: filepath.Join(top, c.TreeDir(side))})
	switch {
	case errors.Is(err, checkout.ErrRefused) || errors.Is(err, checkout.ErrNoRef):
		return tree.Setting(fmt.Errorf("%s tree (%s, GIT_BASE): %w", side, settingOf(side), err))
	case err != nil:
		return tree.Environment(fmt.Errorf("%s tree (%s, GIT_BASE): %w", side, settingOf(side), err))
	}
	if err := looksLikeTree(got.Dir); err != nil {
		return tree.Setting(fmt.Errorf("%s tree (%s, GIT_BASE): %w", side, settingOf(side), err))
	}
	c.options.Note(told(side, branch, got))
	return nil
}

// told is a sentence on what a side's tree is.
func told(side config.Side, branch string, got checkout.State) string {
	text := fmt.Sprintf("%s tree: no git checkout, in %s", side, got.Dir)
	if got.Commit != "" {
		text = fmt.Sprintf("%s tree: %.12s (%s), asked for as %s", side, got.Commit, got.Subject, branch)
	}
	if !got.Ours {
		text += "; it was there and is used as it is"
	}
	if got.Changed {
		text += "; it has changes that are in no commit"
	}
	return text
}

// parts are what everybody needs of a tree: ours, and the plugins' scripts.
func parts() []string {
	return []string{"stack.sh", "functions", "stackrc", "openrc", "inc/meta-config", "lib/stack"}
}

// looksLikeTree refuses what is no DevStack, with all that it lacks.
func looksLikeTree(dir string) error {
	missing := slices.DeleteFunc(parts(), func(name string) bool {
		info, err := os.Stat(filepath.Join(dir, name))
		return err == nil && info.Mode().IsRegular()
	})
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("%s is no DevStack tree: it has no %s", dir, missing)
}
