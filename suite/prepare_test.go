package suite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"grenade/framework/config"
	"grenade/framework/host"
	"grenade/framework/log"
	"grenade/framework/tree"
	"grenade/framework/tree/debstack"
	"grenade/framework/tree/devstack"
	"grenade/framework/tree/external"
	"grenade/framework/tree/localconf"
	"grenade/phases"
	"grenade/plugins"
	"grenade/resources/native"
)

// prepare settles all that can be known without a cloud, so that every mistake
// is told at once and before anything is built: flags, configuration, plugins,
// the machine, the plan, the selection, the run that it is about.
func (s *suite) prepare(ctx context.Context, flags types.SuiteConfig) error {
	if err := errors.Join(checkFlags(flags), checkCLI()); err != nil {
		return err
	}
	var err error
	s.config, err = config.Load(ctx, config.Sources{Environ: os.Environ(), Dirs: configDirs()})
	if err != nil {
		return fmt.Errorf("configuration:\n%w", err)
	}
	for _, side := range []config.Side{config.Base, config.Target} {
		if err := localconf.Check(ctx, s.config.LocalConf[side]); err != nil {
			return fmt.Errorf("configuration of the %s tree:\n%w", side, err)
		}
	}
	if err := errors.Join(s.checkOtherTree(), s.checkHost(ctx)); err != nil {
		return err
	}
	plan, selection, err := s.plan(ctx, flags)
	if err != nil {
		return err
	}
	if s.config.Tree == config.OwnCloud {
		if err := external.Check(s.config, selection.Closure); err != nil {
			return fmt.Errorf("your cloud:\n%w", err)
		}
	}
	if err := s.takeHost(ctx); err != nil {
		return err
	}
	id, err := s.runID(selection)
	if err != nil {
		return err
	}
	return s.newRun(ctx, id, plan, selection)
}

// plan fetches the plugins of other repositories and makes the plan and what the
// user selects of it. A run that goes on finds what it began with: only one that
// begins brings plugins up to date, after which there may be others to plan for.
func (s *suite) plan(ctx context.Context, flags types.SuiteConfig) (phases.Plan, phases.Selection, error) {
	if err := s.fetch(ctx, false); err != nil {
		return phases.Plan{}, phases.Selection{}, err
	}
	plan, selection, err := s.choose(flags)
	if err != nil || s.dryRun || len(s.config.Plugins) == 0 || selection.NeedsCloud() || s.config.Resume {
		return plan, selection, err
	}
	if err := s.fetch(ctx, true); err != nil {
		return phases.Plan{}, phases.Selection{}, err
	}
	return s.choose(flags)
}

// fetch gets the plugins that are not there and, to update, new versions of those
// that are. A dry run touches nothing.
func (s *suite) fetch(ctx context.Context, update bool) error {
	if s.dryRun || len(s.config.Plugins) == 0 {
		return nil
	}
	// Two runs must not fetch into one directory.
	err := s.takeHost(ctx)
	if err != nil {
		return err
	}
	s.fetched, err = plugins.Fetch(ctx, plugins.FetchInput{
		Plugins: s.config.Plugins, Config: s.config, Update: update,
		Progress: func(what string) { fmt.Println("plugins: " + what) },
	})
	if err != nil {
		return fmt.Errorf("plugins of other repositories:\n%w", err)
	}
	return nil
}

// choose makes the plan from the plugins that are there, and the selection.
func (s *suite) choose(flags types.SuiteConfig) (phases.Plan, phases.Selection, error) {
	found, err := plugins.Scan(phases.GrenadeDir(s.config), s.config.ProjectsDir, plugins.UpgradeDirs(s.config.Plugins), phases.ReservedNames())
	if err != nil {
		return phases.Plan{}, phases.Selection{}, fmt.Errorf("plugins:\n%w", err)
	}
	found = plugins.WithMissing(found, s.config.Plugins)
	var smoke []string
	if s.config.BaseRunSmoke {
		smoke = append(smoke, phases.VerifyBase)
	}
	if s.config.TargetRunSmoke {
		smoke = append(smoke, phases.VerifyTarget)
	}
	plan := phases.NewPlan(found, smoke...)
	asked := s.filter(flags.LabelFilter)
	matches, err := types.ParseLabelFilter(asked)
	if err != nil {
		return phases.Plan{}, phases.Selection{}, &usageError{fmt.Sprintf("label filter %q: %v", asked, err)}
	}
	selection, err := plan.Select(asked, matches, phases.Dependencies{Requires: debstack.Requires, UpgradesAfter: debstack.UpgradesAfter})
	return plan, selection, err
}

// takeHost keeps a second run away from STACK_ROOT.
func (s *suite) takeHost(ctx context.Context) (err error) {
	if s.dryRun || s.releaseHost != nil {
		return nil
	}
	s.releaseHost, err = host.Exclusive(ctx, s.config.StackRoot, 0, func() {})
	return err
}

// newRun puts the run together.
func (s *suite) newRun(ctx context.Context, id string, plan phases.Plan, selection phases.Selection) error {
	options := phases.Options{ID: id, Config: s.config, Plan: plan, Selection: selection, Checks: native.Checks}
	logFile := ""
	if !s.dryRun {
		logFile = filepath.Join(s.config.ResultsDir, id, "run.log.jsonl")
	}
	redactor := log.NewRedactor(s.config.Secrets()...)
	options.Redact = redactor.String
	options.Progress = newProgress(options.Redact)
	logger := log.New(log.Options{Console: options.Progress, JSONFile: logFile, RunID: id, Redactor: redactor})
	options.Log = logger
	options.Fetched = s.fetched
	var err error
	if s.config.Tree == config.OwnCloud {
		options.Foreign = external.NewCloud(external.Options{RunID: id, Config: s.config, Secrets: redactor})
	} else if options.Trees, err = s.trees(id, options.Progress.Waiting, redactor); err != nil {
		return err
	}
	memory, err := host.WatchMemory(ctx)
	if err != nil {
		return err
	}
	options.PeakMemory = memory.Peak
	for _, warning := range s.config.Warnings {
		logger.For("", "").Warn(warning)
	}
	s.run, s.log, s.progress = phases.New(options), logger, options.Progress
	return nil
}

// trees is a cloud with the kind of trees that GRENADE_TREE names.
func (s *suite) trees(id string, progress func(string), secrets *log.Redactor) (phases.WithTrees, error) {
	var checkouts []tree.Checkout
	for _, plugin := range s.fetched {
		checkouts = append(checkouts, plugin.Checkout())
	}
	if s.config.ProjectsDir != "" {
		checkouts = append(checkouts, tree.Checkout{Dir: s.config.ProjectsDir, BaseDir: s.config.ProjectsDir, ReadOnly: true})
	}
	note := func(text string) { s.run.Note("%s", text) }
	if s.config.Tree == config.Devstack {
		return devstack.NewCloud(devstack.Options{
			RunID: id, Config: s.config, Progress: progress, Note: note, Secrets: secrets, Checkouts: checkouts,
		}), nil
	}
	return debstack.NewCloud(debstack.CloudOptions{
		RunID: id, Config: s.config, Progress: progress, Note: note, Secrets: secrets, Checkouts: checkouts,
	})
}

// close gives back what the run holds in this process.
func (s *suite) close() {
	s.progress.Close()
	err := errors.Join(s.run.Close(), s.log.Close())
	if s.releaseHost != nil {
		err = errors.Join(err, s.releaseHost())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// filter is the user's label filter; RUN_BASE and RUN_TARGET, upstream's
// switches for one half of a run, narrow it.
func (s *suite) filter(asked string) string {
	half := ""
	switch {
	case !s.config.RunTarget:
		half = string(config.Base)
	case !s.config.RunBase:
		half = string(config.Target)
	}
	switch {
	case half == "":
		return asked
	case asked == "":
		return half
	default:
		return fmt.Sprintf("(%s) && %s", asked, half)
	}
}

// runID names the run: that of the cloud that the selection goes on with, or a
// new one.
func (s *suite) runID(selection phases.Selection) (string, error) {
	if !s.dryRun && (selection.NeedsCloud() || s.config.Resume) {
		previous, err := phases.PreviousRun(s.config.SaveDir)
		switch {
		case err != nil:
			return "", err
		case previous == nil || previous.Finished:
			return "", &usageError{fmt.Sprintf("there is no cloud to go on with: %s needs an unfinished run in %s (make base leaves one)",
				whatNeedsCloud(selection, s.config.Resume), s.config.SaveDir)}
		default:
			return previous.ID, nil
		}
	}
	return time.Now().UTC().Format("20060102-150405"), nil
}

func whatNeedsCloud(selection phases.Selection, resume bool) string {
	if resume {
		return "RESUME=True"
	}
	return fmt.Sprintf("the selection %q (%s)", selection.Asked, selection.Scope)
}

// checkFlags refuses what would make the verdict or the order a lie.
func checkFlags(flags types.SuiteConfig) error {
	var wrong []error
	refuse := func(given bool, flag, why string) {
		if given {
			wrong = append(wrong, &usageError{fmt.Sprintf("%s: %s", flag, why)})
		}
	}
	refuse(flags.ParallelTotal > 1, "--procs", "every process would build a cloud of its own; rows that can run side by side do so anyway")
	refuse(flags.FlakeAttempts > 1, "--flake-attempts", "an upgrade that works the second time is not an upgrade that works")
	refuse(flags.MustPassRepeatedly > 1, "--must-pass-repeatedly", "a phase cannot be repeated within a run; use --repeat")
	refuse(flags.FailFast, "--fail-fast", "a failure must not keep evidence from being saved nor the cloud from being removed")
	refuse(flags.RandomizeAllSpecs, "--randomize-all", "the phases have an order")
	refuse(len(flags.FocusStrings)+len(flags.FocusFiles) > 0, "--focus", "use --label-filter: it adds what the selection needs")
	refuse(len(flags.SkipStrings)+len(flags.SkipFiles) > 0, "--skip", "use --label-filter, for example '!glance'")
	return errors.Join(wrong...)
}

// checkOtherTree refuses a packaged cloud where a run before this one has left DevStack on this machine, and any but a cloud of the
// user's where it has left things in that: only a run of that kind knows how to remove them.
func (s *suite) checkOtherTree() error {
	if s.dryRun {
		return nil
	}
	if s.config.Tree != config.OwnCloud {
		previous, err := phases.PreviousRun(s.config.SaveDir)
		if err != nil {
			return err
		}
		if previous.InACloudOfYours() {
			return &usageError{fmt.Sprintf("run %s has left things in a cloud of yours, and %s says which: make clean with GRENADE_TREE=external, and that cloud's credentials, removes them",
				previous.ID, s.config.SaveDir)}
		}
	}
	if s.config.Tree == config.Devstack {
		return nil
	}
	left, err := devstack.Left(s.config)
	if err == nil && left {
		return &usageError{fmt.Sprintf("a run before this one has used DevStack on this machine (%s): make clean removes what it left", s.config.SaveDir)}
	}
	return err
}

// checkHost says what of the machine stands in the way of a real run.
func (s *suite) checkHost(ctx context.Context) error {
	if s.dryRun {
		return nil
	}
	needs := host.Needs{
		Tools: host.Tools(),
		Space: []host.Space{
			{Dir: s.config.StackRoot, Bytes: nodeSpace, For: "what the node writes"},
			{Dir: s.config.CacheDir, Bytes: cacheSpace, For: "package roots"},
		},
		Address: s.config.NodeAddress, Floating: s.config.FloatingRange, OwnInterfaces: []string{debstack.LinkName(s.config)},
	}
	if s.config.Node == config.Local {
		needs = host.Needs{Tools: host.LocalTools(), Bare: true}
	}
	problems := host.Preflight(ctx, host.Real{}, needs)
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("this machine cannot run the upgrade:\n%w", errors.Join(problems...))
}

// What a run needs on disk, in bytes: the layer that a node writes (0.3 GB
// measured), and the two roots of a full cache (1.2 GB each measured), both
// with room to spare.
const (
	nodeSpace  = 2 << 30
	cacheSpace = 1 << 30
)

// configDirs are where localrc and pluginrc may lie: the module's root, and
// the directory that the caller was in. Under "ginkgo run" the working
// directory is ./suite.
func configDirs() []string {
	here, err := os.Getwd()
	if err != nil {
		return nil
	}
	var dirs []string
	for dir := here; ; dir = filepath.Dir(dir) {
		module, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(module), "module grenade\n") {
			dirs = append(dirs, dir)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	if caller := os.Getenv("PWD"); caller != "" && caller != here {
		dirs = append(dirs, caller)
	}
	return append(dirs, here)
}
