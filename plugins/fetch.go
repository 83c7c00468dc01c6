package plugins

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"grenade/framework/checkout"
	"grenade/framework/config"
	"grenade/framework/report"
	"grenade/framework/tree"
)

// Fetched is a plugin of another repository that is there.
type Fetched struct {
	config.EnabledPlugin
	checkout.State
	// Base is a checkout of the base release's branch, or the plugin's own when
	// the repository has no such branch: scripts use what the base release of
	// their project has ($BASE_RELEASE_DIR/<project>).
	Base string
}

// baseCheckouts is where those of the base release are, below PLUGIN_DIR: a
// plugin's name has no leading dot.
const baseCheckouts = ".base"

// FetchInput says which plugins are fetched, and how.
type FetchInput struct {
	Plugins []config.EnabledPlugin
	Config  *config.Config
	// Update: what is there is fetched again where the settings say so, or where
	// pluginrc names another URL or branch than before. Otherwise only what is
	// missing is fetched: a run that goes on must find what it began with.
	Update bool
	// Log is the file that git's output is appended to; "" is none.
	Log string
	// Progress is told what is being fetched.
	Progress func(string)
}

// Fetch makes the checkouts of the plugins, and says what they hold. The error
// joins one for each plugin that cannot be had: a config.Mistake where the user
// must decide.
func Fetch(ctx context.Context, in FetchInput) ([]Fetched, error) {
	git := checkout.Git{
		Offline: in.Config.Offline, Anew: in.Config.Reclone && in.Update, Never: in.Config.ErrorOnClone,
		Timeout: in.Config.ScriptTimeout, Log: in.Log, Progress: in.Progress,
	}
	var all []Fetched
	var failures []error
	for _, plugin := range in.Plugins {
		fetched, err := fetch(ctx, git, plugin, in)
		switch {
		case errors.Is(err, checkout.ErrRefused):
			failures = append(failures, &config.Mistake{File: plugin.File, Line: plugin.Line, Message: err.Error()})
		case err != nil:
			failures = append(failures, fmt.Errorf("%s: plugin %s: %w", plugin.Place(), plugin.Name, err))
		default:
			all = append(all, fetched)
		}
	}
	return all, errors.Join(failures...)
}

func fetch(ctx context.Context, git checkout.Git, plugin config.EnabledPlugin, in FetchInput) (Fetched, error) {
	fetched := Fetched{EnabledPlugin: plugin, Base: plugin.Dir}
	var err error
	if plugin.InPlace || !in.Update && !NotFetched(plugin) {
		fetched.State, err = git.Look(ctx, plugin.Dir)
	} else {
		fetched.State, err = git.Ensure(ctx, checkout.Source{URL: plugin.URL, Ref: plugin.Branch, Dir: plugin.Dir})
	}
	if err != nil || fetched.Commit == "" {
		return fetched, err
	}
	// From the checkout that is there, so this works offline, and in CI.
	git.Offline, git.Never = false, false
	base := filepath.Join(in.Config.PluginDir, baseCheckouts, plugin.Name)
	if _, err := os.Stat(base); err == nil && !in.Update {
		fetched.Base = base
		return fetched, nil
	}
	for _, ref := range baseRefs(in.Config.Base.Branch) {
		if !git.Has(ctx, plugin.Dir, ref) {
			continue
		}
		if _, err := git.Ensure(ctx, checkout.Source{URL: plugin.Dir, Ref: ref, Dir: base}); err != nil {
			return fetched, err
		}
		fetched.Base = base
		break
	}
	return fetched, nil
}

// baseRefs are the branches of the base release as a clone knows them, and as
// the repository itself does; and the tags that OpenStack puts where a branch
// was when it was given up (end of life, end of maintenance).
func baseRefs(branch string) []string {
	branches := []string{branch}
	release := config.ReleaseOf(branch)
	if release != config.Master {
		branches = append(branches, "stable/"+release, "unmaintained/"+release)
	}
	var refs []string
	for _, name := range branches {
		refs = append(refs, "refs/remotes/origin/"+name, "refs/heads/"+name)
	}
	if release != config.Master {
		refs = append(refs, "refs/tags/"+release+"-eol", "refs/tags/"+release+"-eom")
	}
	return refs
}

// NotFetched tells whether the plugin has not been fetched yet.
func NotFetched(plugin config.EnabledPlugin) bool {
	_, err := os.Stat(plugin.Dir)
	return errors.Is(err, fs.ErrNotExist)
}

// Reported is the plugin as a report shows it.
func (f Fetched) Reported() report.Plugin {
	return report.Plugin{
		Name: f.Name, URL: checkout.Public(f.URL), Ref: f.Branch, Dir: f.EnabledPlugin.Dir,
		Commit: f.Commit, Subject: f.Subject, Changed: f.Changed,
	}
}

// Checkout is the plugin as a node shows it.
func (f Fetched) Checkout() tree.Checkout {
	return tree.Checkout{Name: f.Name, Dir: f.EnabledPlugin.Dir, BaseDir: f.Base, ReadOnly: f.InPlace, Give: f.Ours}
}

// Stale says what the base checkout is when the repository has none of the base
// release's branch, "" when it has.
func (f Fetched) Stale(base config.Release) string {
	if f.Base != f.EnabledPlugin.Dir || f.Commit == "" {
		return ""
	}
	return fmt.Sprintf("plugin %s: its repository has no branch of %s, and no tag where it ended; $BASE_RELEASE_DIR/%s is what $TARGET_RELEASE_DIR/%s is", f.Name, base.Name, f.Name, f.Name)
}

// UpgradeDirs are where the settings of the enabled plugins are.
func UpgradeDirs(enabled []config.EnabledPlugin) []string {
	var dirs []string
	for _, plugin := range enabled {
		dirs = append(dirs, plugin.UpgradeDir())
	}
	return dirs
}

// WithMissing adds to what Scan found a project for each enabled plugin that has
// not been fetched yet, under the plugin's name, in pluginrc's order: what it
// registers nobody can know. A name that is taken is left out.
func WithMissing(found []Plugin, enabled []config.EnabledPlugin) []Plugin {
	all := make([]Plugin, 0, len(found)+len(enabled))
	external := map[string][]Plugin{}
	taken := map[string]bool{}
	for _, plugin := range found {
		taken[plugin.Project] = true
		external[plugin.Dir] = append(external[plugin.Dir], plugin)
	}
	of := map[string]bool{}
	for _, plugin := range enabled {
		of[plugin.UpgradeDir()] = true
	}
	for _, plugin := range found {
		if !of[plugin.Dir] {
			all = append(all, plugin)
		}
	}
	for _, plugin := range enabled {
		all = append(all, external[plugin.UpgradeDir()]...)
		if NotFetched(plugin) && !taken[plugin.Name] {
			all = append(all, Plugin{
				Project: plugin.Name, Dir: plugin.UpgradeDir(), SettingsFile: plugin.File, Line: plugin.Line, NotFetched: true,
			})
		}
	}
	return all
}
