package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/framework/report"
	"grenade/framework/tree"
	"grenade/phases"
	"grenade/plugins"
	"grenade/resources"
)

// run makes a run of so many plugins as the suite does, on a cloud that holds
// nothing, and works on all rows that run scripts.
func (s *site) run(ctx context.Context, size int, result *seen) (err error) {
	began := time.Now()
	configured, err := s.configure(ctx, size)
	if err != nil {
		return err
	}
	planned, err := plugins.Scan(s.grenade, configured.ProjectsDir, plugins.UpgradeDirs(configured.Plugins), phases.ReservedNames())
	if err != nil {
		return fmt.Errorf("plugins:\n%w", err)
	}
	plan := phases.NewPlan(planned)
	ours := map[string]bool{}
	for i := range size {
		ours["p"+strconv.Itoa(i)] = true
	}
	selection, err := plan.Select("", func(labels []string) bool { return ours[labels[0]] }, phases.Dependencies{
		Requires: itself, UpgradesAfter: func(string) ([]string, error) { return nil, nil },
	})
	if err != nil {
		return fmt.Errorf("selection: %w", err)
	}
	progress := report.NewProgress(report.ProgressOptions{Out: io.Discard})
	defer progress.Close()
	run := phases.New(phases.Options{
		ID: "bench", Config: configured, Plan: plan, Selection: selection, Trees: cloud{site: s, node: thisMachine{s.node, s.user}}, Log: quiet{},
		Checks:     func(resources.Cloud) map[string]resources.Check { return nil },
		Redact:     func(text string) string { return text },
		Progress:   progress,
		PeakMemory: func() int64 { return 0 },
	})
	defer func() { err = errors.Join(err, run.Close()) }()
	if _, err := run.Setup(ctx); err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	result.setup = time.Since(began)
	before, err := now()
	if err != nil {
		return err
	}
	for _, row := range selection.Rows {
		if !row.OfProject() || !runsScripts(row.Phase.ID) {
			continue
		}
		settled := run.Do(ctx, row)
		if settled.Outcome == report.Failed {
			return fmt.Errorf("%s: %s", row.Key(), settled.Failure.Message)
		}
		result.scripts++
	}
	result.rows, err = since(before)
	if err != nil {
		return err
	}
	began = time.Now()
	_, err = run.WriteResults(ctx, report.Green)
	result.report = time.Since(began)
	return err
}

func itself(projects []string) ([]string, error) { return projects, nil }

// configure enables the plugins in a pluginrc, in place.
func (s *site) configure(ctx context.Context, size int) (*config.Config, error) {
	var pluginrc strings.Builder
	for i := range size {
		fmt.Fprintf(&pluginrc, "enable_grenade_plugin p%d %s\n", i, filepath.Dir(filepath.Dir(s.pluginDir(i))))
	}
	dir := filepath.Join(s.root, "config")
	err := errors.Join(os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "localrc"), []byte("STACK_ROOT="+s.root+"\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "pluginrc"), []byte(pluginrc.String()), 0o644))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	environ := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.root}
	configured, err := config.Load(ctx, config.Sources{Environ: environ, Dirs: []string{dir}, ResultsDir: filepath.Join(s.root, "results")})
	if err != nil {
		return nil, fmt.Errorf("configuration:\n%w", err)
	}
	return configured, nil
}

// runsScripts tells whether the phase runs a script of each plugin.
func runsScripts(phase string) bool {
	switch phase {
	case phases.VerifyBase, phases.Snapshot, phases.VerifyTarget, phases.Leaks:
		return false
	default:
		return true
	}
}

// cloud is one that holds nothing: two trees on this machine.
type cloud struct {
	// What is not needed for that is nobody's: a row that asks for it fails.
	phases.WithTrees
	site *site
	node node.Node
}

// Start lets the scripts make dumps of the tree's functions, or keeps them from it.
func (c cloud) Start(context.Context, []string) error {
	if c.site.dumps {
		return nil
	}
	// Where there is a file, inc/load makes no directory.
	if err := os.WriteFile(filepath.Join(c.site.save, "functions.cache"), nil, 0o600); err != nil {
		return fmt.Errorf("no dumps: %w", err)
	}
	return nil
}

func (c cloud) TreeDir(side config.Side) string {
	if side == config.Target {
		return filepath.Join(c.site.root, "new/devstack")
	}
	return filepath.Join(c.site.root, "old/devstack")
}
func (c cloud) Node() node.Node                                                { return c.node }
func (cloud) Enabled() []string                                                { return []string{"nothing"} }
func (cloud) Dispose(context.Context) error                                    { return nil }
func (cloud) Compose(context.Context, config.Side, []tree.LocalrcLine) error   { return nil }
func (cloud) Stack(context.Context, string, func(string)) error                { return nil }
func (cloud) Requires(projects []string) ([]string, error)                     { return projects, nil }
func (cloud) Service(string, config.Side) (tree.Service, bool)                 { return tree.Service{}, false }
func (cloud) Look(context.Context) error                                       { return nil }
func (cloud) Access() tree.Access                                              { return tree.Access{} }
func (cloud) CollectLogs(context.Context, string) error                        { return nil }
func (cloud) Close() error                                                     { return nil }
func (cloud) Timings() []report.Timing                                         { return nil }
func (cloud) Packages(context.Context, config.Side) (map[string]string, error) { return nil, nil }

// thisMachine is the node: whoever a command is for, it runs as the one user.
type thisMachine struct {
	node.Node
	user string
}

// Run runs a command on this machine.
func (m thisMachine) Run(ctx context.Context, command node.Command) (exec.Result, error) {
	command.User = m.user
	return m.Node.Run(ctx, command)
}

// quiet is a log that nobody reads.
type quiet struct{}

// For gives an entry that goes nowhere.
func (quiet) For(string, string) *logrus.Entry {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	return logrus.NewEntry(logger)
}
