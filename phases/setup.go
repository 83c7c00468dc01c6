package phases

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/framework/report"
	"grenade/framework/tree"
	"grenade/plugins"
)

// Setup brings the cloud up, or connects to the one that the selection goes on
// with. What it takes and whether it worked is in the report, too.
func (r *Run) Setup(ctx context.Context) (report.Row, error) {
	r.progress.Start(SetupRow, CloudProject)
	began := time.Now()
	err := errors.Join(r.setUp(ctx), r.hideSecrets(setupRow()), r.hideSecrets(Row{Phase: &Phase{ID: SetupRow}, Project: "settings"}))
	setup := report.Row{Phase: SetupRow, Project: CloudProject, Outcome: report.Passed, Started: began, Duration: time.Since(began),
		Log: filepath.Join("logs", SetupRow, CloudProject+".log")}
	if err != nil {
		setup.Outcome = report.Failed
		setup.Failure = r.failure(setupRow(), err)
	}
	r.mu.Lock()
	r.setup = &setup
	r.mu.Unlock()
	r.progress.Done(setup)
	if r.journal != nil {
		err = errors.Join(err, r.journal.Record(Event{Kind: EventSetup, State: string(setup.Outcome)}))
	}
	if err != nil && r.journal != nil {
		r.keepEvidence(ctx, setupRow())
	}
	return setup, err
}

// setupRow stands for BeforeSuite where a row is asked for.
func setupRow() Row {
	return Row{Phase: &Phase{ID: SetupRow, Name: SetupRow}, Project: CloudProject}
}

func (r *Run) setUp(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(r.ResultsDir(), "logs", SetupRow), 0o755); err != nil {
		return fmt.Errorf("results directory: %w", err)
	}
	if r.Continues() {
		return r.attach(ctx)
	}
	return r.begin(ctx)
}

// Continues tells whether the run goes on with a cloud that is there.
func (r *Run) Continues() bool {
	return r.Selection.NeedsCloud() || r.Config.Resume
}

// begin removes what an earlier run left, and builds the base cloud.
func (r *Run) begin(ctx context.Context) error {
	r.progress.Waiting("removal of what an earlier run left")
	if err := r.removeLeft(ctx); err != nil {
		return fmt.Errorf("remove what an earlier run left: %w", err)
	}
	if err := r.clearSaveDir(); err != nil {
		return err
	}
	if err := r.open(true); err != nil {
		return err
	}
	if err := r.writeGrenadeDir(); err != nil {
		return err
	}
	if r.Config.SkipRelease {
		r.Note("upstream does not support an upgrade from %s to %s in one step", r.Config.Base.Name, r.Config.Target.Name)
	}
	if err := r.handDownConfig(); err != nil {
		return err
	}
	if err := plugins.CheckScripts(ctx, r.Plan.Plugins); err != nil {
		return fmt.Errorf("plugins:\n%w", err)
	}
	for _, oddity := range plugins.Oddities(r.Plan.Plugins) {
		r.Note("%s", oddity)
	}
	for _, plugin := range r.fetched {
		if stale := plugin.Stale(r.Config.Base); stale != "" {
			r.Note("%s", stale)
		}
	}
	if err := r.cloud.Start(ctx, r.Selection.Closure); err != nil {
		return err
	}
	if r.foreign != nil {
		r.settings = r.ownSettings()
		return r.saveState()
	}
	if err := r.makeLogDirs(ctx); err != nil {
		return err
	}
	if err := r.loadSettings(ctx); err != nil {
		return err
	}
	for _, side := range []config.Side{config.Base, config.Target} {
		if err := r.trees.Compose(ctx, side, r.settings.Localrc[side]); err != nil {
			return fmt.Errorf("local.conf of the %s tree: %w", side, err)
		}
	}
	if err := r.saveState(); err != nil {
		return err
	}
	return r.stackBase(ctx)
}

// stackBase brings up the base cloud. It may be long until stack.sh says its first word.
func (r *Run) stackBase(ctx context.Context) error {
	name := fmt.Sprintf("stack.sh of the %s tree", config.Base)
	r.progress.Waiting(name)
	if err := r.trees.Stack(ctx, r.LogFile(SetupRow, CloudProject), r.progress.Waiting); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return r.postStack(ctx)
}

// postStack runs the user's post-stack.sh, if there is one, as upstream does: in
// GRENADE_DIR, where it lies beside functions, after stack.sh of ours and not of
// somebody else's.
func (r *Run) postStack(ctx context.Context) error {
	if r.Config.PostStack.Path == "" || r.Config.External {
		return nil
	}
	r.progress.Waiting("post-stack.sh")
	script := filepath.Join(r.GrenadeDir(), "post-stack.sh")
	if err := errors.Join(os.WriteFile(script, []byte(r.Config.PostStack.Text), 0o755), os.Chmod(script, 0o755)); err != nil {
		return fmt.Errorf("post-stack.sh: %w", err)
	}
	environ := r.environ(Row{Project: SetupRow}, config.Base)
	command, err := plugins.ScriptCommand(plugins.ScriptInput{Path: script, Environ: environ})
	if err != nil {
		return fmt.Errorf("%s: %w", r.Config.PostStack.Path, err)
	}
	command.Dir, command.Log, command.Timeout = r.GrenadeDir(), r.LogFile(SetupRow, CloudProject), r.Config.ScriptTimeout
	command.OnLine = r.progress.Waiting
	if _, err := r.cloud.Node().Run(ctx, node.Command{Command: command, User: r.Config.StackUser}); err != nil {
		return tree.Environment(fmt.Errorf("%s: %w", r.Config.PostStack.Path, err))
	}
	return nil
}

// makeLogDirs makes the directories that scripts may write logs to without making
// them, as upstream does: LOGDIR, and what grenaderc calls SCREEN_LOGDIR.
func (r *Run) makeLogDirs(ctx context.Context) error {
	_, err := r.cloud.Node().Run(ctx, node.Command{User: r.Config.StackUser, Command: exec.Command{
		Args: []string{"mkdir", "-p", "--", r.scriptLogs(), filepath.Join(r.Config.StackRoot, "logs/screen")},
		Log:  r.LogFile(SetupRow, CloudProject), Timeout: r.Config.ScriptTimeout,
	}})
	if err != nil {
		return fmt.Errorf("directories for scripts' logs: %w", err)
	}
	return nil
}

// writeGrenadeDir writes GRENADE_DIR, with the plugins that the user chose.
func (r *Run) writeGrenadeDir() error {
	if err := plugins.Materialise(r.GrenadeDir()); err != nil {
		return err
	}
	if r.Config.ProjectsDir == "" {
		return nil
	}
	return plugins.UseProjects(r.GrenadeDir(), r.Config.ProjectsDir)
}

// handDownConfig gives the scripts what the user configured: his localrc, over
// it the settings of his environment, and which plugins he enabled.
func (r *Run) handDownConfig() error {
	var environment strings.Builder
	for _, value := range r.Config.Values() {
		if value.Origin == config.Environment {
			fmt.Fprintf(&environment, "%s='%s'\n", value.Name, strings.ReplaceAll(value.Value, "'", `'\''`))
		}
	}
	for name, text := range map[string]string{
		"localrc": r.Config.Localrc.Text, "environment": environment.String(), "pluginrc": r.Config.PluginrcForScripts(),
	} {
		if text == "" {
			continue
		}
		// The node's user stack reads it; others cannot enter SAVE_DIR.
		if err := os.WriteFile(filepath.Join(r.GrenadeDir(), name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("configuration for the scripts: %w", err)
		}
	}
	return nil
}

// attach connects to the cloud of an unfinished run.
func (r *Run) attach(ctx context.Context) error {
	events, err := ReadJournal(r.Config.SaveDir)
	if err != nil {
		return err
	}
	r.Ledger.Replay(events)
	if err := r.loadState(); err != nil {
		return err
	}
	if err := r.open(false); err != nil {
		return err
	}
	if err := r.writeGrenadeDir(); err != nil {
		return err
	}
	if err := r.cloud.Attach(ctx); err != nil {
		return fmt.Errorf("the cloud of run %s: %w", r.ID, err)
	}
	return nil
}

// open starts the journal in SAVE_DIR.
func (r *Run) open(fresh bool) error {
	journal, err := OpenJournal(r.Config.SaveDir, r.ID, fresh)
	if err != nil {
		return err
	}
	r.journal = journal
	if err := journal.Record(Event{Kind: EventRun, State: StateStarted, PID: os.Getpid(), Results: r.ResultsDir(),
		Scope: string(r.Selection.Scope), Filter: r.Selection.Asked, Tree: r.Config.Tree}); err != nil {
		return err
	}
	return journal.Record(Event{Kind: EventSetup, State: StateStarted})
}

// clearSaveDir empties SAVE_DIR, which belongs to runs alone. A directory that
// holds something else and no journal is refused, so that a wrong setting
// costs nobody his files.
func (r *Run) clearSaveDir() error {
	dir := r.Config.SaveDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("SAVE_DIR: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("SAVE_DIR: %w", err)
	}
	ours := slices.ContainsFunc(entries, func(entry os.DirEntry) bool { return entry.Name() == journalName })
	if len(entries) > 0 && !ours {
		return fmt.Errorf("SAVE_DIR %s holds files but no journal of a run (%s): it is not ours to empty; name another directory, or empty it", dir, journalName)
	}
	for _, entry := range entries {
		if entry.Name() == journalName {
			continue // it says that the rest is ours, should this be interrupted
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("empty SAVE_DIR: %w", err)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("SAVE_DIR: %w", err)
	}
	return nil
}

// loadSettings runs every settings file in the node, and compares what they
// register with the plan.
func (r *Run) loadSettings(ctx context.Context) error {
	r.progress.Waiting("the plugins' settings")
	environ := r.environ(Row{Project: SetupRow}, config.Target)
	environ["ENABLED_SERVICES"] = strings.Join(r.trees.Enabled(), ",")
	settings, err := plugins.LoadSettings(ctx, r.cloud.Node(), plugins.SettingsInput{
		Plugins: r.Plan.Plugins, External: plugins.UpgradeDirs(r.Config.Plugins), GrenadeDir: r.GrenadeDir(), ProjectsDir: r.Config.ProjectsDir,
		User: r.Config.StackUser, SaveDir: r.Config.SaveDir, TopDir: r.trees.TreeDir(config.Target), Environ: environ,
		Log: r.LogFile(SetupRow, "settings"), Timeout: r.Config.ScriptTimeout,
	})
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	planned := r.Plan.Projects()
	for _, project := range settings.Order {
		if !slices.Contains(planned, project) {
			return &config.Mistake{File: filepath.Join(settings.PluginDir[project], "settings"), Message: fmt.Sprintf(
				"registers %s under a name that bash computes, so it has no row in the plan: write the name out", project)}
		}
	}
	r.settings = *settings
	return nil
}
