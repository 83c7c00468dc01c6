package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/framework/report"
	"grenade/framework/tree"
	"grenade/framework/tree/localconf"
	"grenade/phases"
	"grenade/plugins"
)

// cloud is a pair of DevStack trees without a cloud: what phases need of one to run
// scripts. It is the edge of the comparison: what it does is what DevStack's part
// would be, and what upstream's grenade.sh does with the trees before settings load.
type cloud struct {
	// What is not needed for that is nobody's: a row that asks for it fails.
	phases.WithTrees
	site *site
	node node.Node
	// defaults is what upstream's Grenade sets in each side's local.conf.
	defaults map[config.Side]string
}

func newCloud(s *site) *cloud {
	return &cloud{site: s, node: newNode(s), defaults: map[config.Side]string{}}
}

// Dispose has nothing to remove.
func (c *cloud) Dispose(context.Context) error { return nil }

// Start lays the trees: their local.conf as far as it is known before settings load,
// and upstream's projects, recording stubs for scripts, in the place of ours, so that
// it is they whose settings run.
func (c *cloud) Start(ctx context.Context, _ []string) error {
	ours := filepath.Join(c.site.grenadeDir(), "projects")
	if err := errors.Join(os.RemoveAll(ours), os.CopyFS(ours, os.DirFS(filepath.Join(c.site.upstreamCopy(), "projects")))); err != nil {
		return fmt.Errorf("upstream's projects: %w", err)
	}
	if c.site.options.ourSettings {
		if err := ownSettings(ours); err != nil {
			return err
		}
	}
	for _, side := range []config.Side{config.Base, config.Target} {
		text, err := os.ReadFile(filepath.Join(c.site.upstreamCopy(), "devstack.local.conf."+string(side)))
		if err != nil {
			return fmt.Errorf("upstream's part of local.conf: %w", err)
		}
		c.defaults[side] = strings.NewReplacer("@BASE_RELEASE_DIR@", filepath.Join(c.site.root, baseDir),
			"@TARGET_RELEASE_DIR@", filepath.Join(c.site.root, targetDir), "@DATA_DIR@", filepath.Join(c.site.root, "data")).Replace(string(text))
		if err := c.Compose(ctx, side, nil); err != nil {
			return err
		}
	}
	return c.site.give(filepath.Dir(c.site.grenadeDir()))
}

// ownSettings puts our in-tree plugins' settings into the directories of the same names.
func ownSettings(projects string) error {
	dirs, err := os.ReadDir(projects)
	if err != nil {
		return fmt.Errorf("upstream's projects: %w", err)
	}
	for _, dir := range dirs {
		text, err := plugins.InTreeFile(dir.Name() + "/settings")
		if err != nil {
			return fmt.Errorf("upstream's project %s: %w", dir.Name(), err)
		}
		if err := overwrite(filepath.Join(projects, dir.Name(), "settings"), string(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Compose writes local.conf, and has DevStack make of it what stackrc reads.
func (c *cloud) Compose(ctx context.Context, side config.Side, lines []tree.LocalrcLine) error {
	composed, err := localconf.Compose(localconf.Input{
		Defaults: localconf.Parse(c.defaults[side]), User: []config.File{{Path: "devstack.local.conf", Text: userConf}}, Added: lines,
	})
	if err != nil {
		return fmt.Errorf("compose: %w", err)
	}
	dir := c.TreeDir(side)
	if err := overwrite(filepath.Join(dir, "local.conf"), composed.String(), 0o644); err != nil {
		return err
	}
	_, err = c.node.Run(ctx, node.Command{Command: exec.Command{
		Args: []string{"bash", "-c", `source "$1/inc/meta-config"; extract_localrc_section "$1/local.conf" "$1/localrc" "$1/.localrc.auto"`, "bash", dir},
		Dir:  dir, Env: c.site.environ(), Log: filepath.Join(c.site.dir, "results/trees.log"),
	}})
	return err
}

// TreeDir is the side's tree.
func (c *cloud) TreeDir(side config.Side) string {
	if side == config.Target {
		return c.site.tree(targetDir)
	}
	return c.site.tree(baseDir)
}

// Enabled says nothing, so that the base tree's stackrc is asked, as upstream does.
func (c *cloud) Enabled() []string { return nil }

// Node is this machine.
func (c *cloud) Node() node.Node { return c.node }

// Requires knows of nothing that a project requires.
func (c *cloud) Requires(projects []string) ([]string, error) { return projects, nil }

// Stack does nothing: there is no cloud.
func (c *cloud) Stack(context.Context, string, func(string)) error { return nil }

// Packages are not known.
func (c *cloud) Packages(context.Context, config.Side) (map[string]string, error) {
	return map[string]string{}, nil
}

// Service knows of no service, so nothing is proved of any.
func (c *cloud) Service(string, config.Side) (tree.Service, bool) { return tree.Service{}, false }

// Look sees nothing run.
func (c *cloud) Look(context.Context) error { return nil }

// Access leads nowhere.
func (c *cloud) Access() tree.Access { return tree.Access{} }

// CollectLogs has none.
func (c *cloud) CollectLogs(context.Context, string) error { return nil }

// Close has nothing to end.
func (c *cloud) Close() error { return nil }

// Timings has none.
func (c *cloud) Timings() []report.Timing { return nil }

// upstreamCopy is where upstream's Grenade stands while ours runs.
func (s *site) upstreamCopy() string { return filepath.Join(s.root+".upstream", "save/grenade") }
