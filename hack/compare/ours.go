package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sirupsen/logrus"

	"grenade/framework/config"
	"grenade/framework/report"
	"grenade/phases"
	"grenade/plugins"
	"grenade/resources"
)

// runOurs makes a run of this project as the suite does, but for the cloud, and asks
// for the rows that run a plugin's scripts.
func (s *site) runOurs(ctx context.Context) (found *seen, err error) {
	configured, err := s.configure(ctx)
	if err != nil {
		return nil, err
	}
	fetched, err := plugins.Fetch(ctx, plugins.FetchInput{Plugins: configured.Plugins, Config: configured, Progress: func(string) {}})
	if err != nil {
		return nil, fmt.Errorf("plugins of other repositories:\n%w", err)
	}
	found = &seen{pluginDir: map[string]string{}, values: map[string]string{}}
	planned, err := plugins.Scan(phases.GrenadeDir(configured), configured.ProjectsDir, plugins.UpgradeDirs(configured.Plugins), phases.ReservedNames())
	if err != nil {
		found.failure = fmt.Sprintf("plugins:\n%v", err)
		return found, nil
	}
	plan := phases.NewPlan(planned)
	selection, err := plan.Select("", func([]string) bool { return true }, phases.Dependencies{
		Requires: itself, UpgradesAfter: func(string) ([]string, error) { return nil, nil },
	})
	if err != nil {
		return nil, fmt.Errorf("selection: %w", err)
	}
	progress := report.NewProgress(report.ProgressOptions{Out: io.Discard})
	defer progress.Close()
	run := phases.New(phases.Options{
		ID: "compare", Config: configured, Plan: plan, Selection: selection, Trees: newCloud(s), Log: quiet{}, Fetched: fetched,
		Checks:     func(resources.Cloud) map[string]resources.Check { return nil },
		Redact:     func(text string) string { return text },
		Progress:   progress,
		PeakMemory: func() int64 { return 0 },
	})
	defer func() { err = errors.Join(err, run.Close()) }()
	if _, err := run.Setup(ctx); err != nil {
		found.failure = fmt.Sprintf("setup: %v", err)
	} else {
		found.failure = doRows(ctx, run)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	return found, s.readOurs(configured, found)
}

func itself(projects []string) ([]string, error) { return projects, nil }

// configure reads the user's files as the suite does.
func (s *site) configure(ctx context.Context) (*config.Config, error) {
	dir := filepath.Join(s.dir, "config")
	for name, text := range map[string]string{"localrc": s.localrc(), "pluginrc": s.pluginrc(), "devstack.local.conf": userConf} {
		if err := overwrite(filepath.Join(dir, name), text, 0o644); err != nil {
			return nil, err
		}
	}
	configured, err := config.Load(ctx, config.Sources{Environ: s.environ(), Dirs: []string{dir}, ResultsDir: filepath.Join(s.dir, "results")})
	if err != nil {
		return nil, fmt.Errorf("configuration:\n%w", err)
	}
	configured.ScriptTimeout = s.options.limit
	return configured, nil
}

// doRows works on the rows of the phases that run scripts, in the plan's order, and
// says which failed. The others look at a cloud's processes and packages.
func doRows(ctx context.Context, run *phases.Run) string {
	var failures []string
	for _, row := range run.Selection.Rows {
		if !row.OfProject() || !runsScripts(row.Phase.ID) {
			continue
		}
		settled := run.Do(ctx, row)
		if settled.Outcome == report.Failed {
			failures = append(failures, fmt.Sprintf("%s: %s", row.Key(), settled.Failure.Message))
		}
	}
	return strings.Join(failures, "\n")
}

func runsScripts(phase string) bool {
	switch phase {
	case phases.VerifyBase, phases.Snapshot, phases.VerifyTarget, phases.Leaks:
		return false
	default:
		return true
	}
}

func (s *site) readOurs(configured *config.Config, found *seen) error {
	text, err := os.ReadFile(filepath.Join(configured.SaveDir, "run.json"))
	if err != nil && found.failure == "" {
		return fmt.Errorf("what the settings said: %w", err)
	}
	if err == nil {
		var saved struct {
			Settings plugins.Settings `json:"settings"`
		}
		if err := json.Unmarshal(text, &saved); err != nil {
			return fmt.Errorf("what the settings said: %w", err)
		}
		settings := saved.Settings
		found.projects, found.pluginDir = settings.Order, settings.PluginDir
		found.databases = strings.Fields(settings.Exports["DATABASES_TO_SAVE"])
		found.values = map[string]string{
			"BASE_RUN_SMOKE": settings.BaseRunSmoke, "TARGET_RUN_SMOKE": settings.TargetRunSmoke,
			"VERIFY_RESOURCES": settings.VerifyResources, "ENABLE_TEMPEST": settings.EnableTempest,
		}
	}
	if found.localConf, err = readLocalConf(s); err != nil {
		return err
	}
	if found.surface, err = readSurface(filepath.Join(s.dir, "records")); err != nil {
		return err
	}
	found.calls, err = readCalls(filepath.Join(s.dir, "records"))
	return err
}

// quiet is a log that nobody reads.
type quiet struct{}

// For gives an entry that goes nowhere.
func (quiet) For(string, string) *logrus.Entry {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	return logrus.NewEntry(logger)
}
