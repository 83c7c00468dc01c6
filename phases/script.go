package phases

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"time"

	"grenade/framework/config"
	"grenade/framework/node"
	"grenade/framework/report"
	"grenade/plugins"
	"grenade/resources"
)

// script runs one of the plugin's scripts in the node, as the shell contract
// says. It returns *resources.NotChecked when there is no such script, or when
// all that it did was nothing.
func (r *Run) script(ctx context.Context, row Row, name string, args ...string) error {
	if r.foreign != nil {
		return r.command(ctx, row, name)
	}
	plugin, known := r.Plan.Plugin(row.Project)
	if !known {
		return fmt.Errorf("no plugin registers %s", row.Project)
	}
	path := plugin.Script(name)
	state, err := plugins.StateOf(path)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", name, row.Project, err)
	}
	if state != plugins.Present {
		return &resources.NotChecked{Reason: fmt.Sprintf("%s is %s", name, state)}
	}
	trace := filepath.Join(r.Config.SaveDir, "traces", row.Phase.ID, row.Project)
	side := config.Base
	if row.Phase.ID == UpgradePhase {
		side = config.Target
	}
	command, err := plugins.ScriptCommand(plugins.ScriptInput{
		Path: path, Args: args, Trace: trace, Dumps: r.dumps.Of(), Environ: r.environ(row, side),
	})
	if err != nil {
		return fmt.Errorf("%s of %s: %w", name, row.Project, err)
	}
	command.Log = r.LogFile(row.Phase.ID, row.Project)
	command.Timeout = r.Config.ScriptTimeout
	command.Cookie = "GRENADE_SCRIPT=" + r.ID + "/" + row.Key().String()
	command.OnLine = func(line string) {
		r.progress.Waiting(line)
		r.log.For(row.Phase.ID, row.Project).Debug(line)
	}
	began := time.Now()
	_, err = r.cloud.Node().Run(ctx, node.Command{Command: command, User: r.Config.StackUser})
	r.took(row, report.Script, name, began)
	if err != nil {
		return scriptFailed(name, trace, plugin, err)
	}
	idle, why, err := plugins.NoOp(trace, plugin.Dir)
	if err != nil {
		return fmt.Errorf("trace of %s: %w", name, err)
	}
	if idle {
		return &resources.NotChecked{Reason: fmt.Sprintf("%s did nothing: %s", name, why)}
	}
	return nil
}

// scriptFailed names the line of the plugin that ran last, which the script's
// own output seldom does.
func scriptFailed(name, trace string, plugin plugins.Plugin, err error) error {
	last, traceErr := plugins.LastCommand(trace, plugin.Dir)
	if traceErr != nil || last == "" {
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s, last at %s: %w", name, filepath.Base(last), err)
}

// environ is what every script of the shell contract finds in its environment:
// where it runs, over that whatever settings exported, and over all of it what the
// contract says, which no plugin may change for the others.
func (r *Run) environ(row Row, side config.Side) map[string]string {
	environ := map[string]string{
		"HOME":    r.Config.StackRoot,
		"USER":    r.Config.StackUser,
		"LOGNAME": r.Config.StackUser,
		"SHELL":   "/bin/bash",
		"LANG":    "C.UTF-8",
		"TERM":    "dumb",
		"PATH":    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
	maps.Copy(environ, r.settings.Exports)
	maps.Copy(environ, map[string]string{
		"GRENADE_DIR":            r.GrenadeDir(),
		"GRENADE_PROJECT":        row.Project,
		"SAVE_DIR":               r.Config.SaveDir,
		"LOGDIR":                 r.scriptLogs(),
		"STACK_ROOT":             r.Config.StackRoot,
		"BASE_RELEASE_DIR":       filepath.Dir(r.trees.TreeDir(config.Base)),
		"TARGET_RELEASE_DIR":     filepath.Dir(r.trees.TreeDir(config.Target)),
		"BASE_DEVSTACK_DIR":      r.trees.TreeDir(config.Base),
		"TARGET_DEVSTACK_DIR":    r.trees.TreeDir(config.Target),
		"BASE_DEVSTACK_BRANCH":   r.Config.Base.Branch,
		"TARGET_DEVSTACK_BRANCH": r.Config.Target.Branch,
		"TOP_DIR":                r.trees.TreeDir(side),
	})
	return environ
}

// scriptLogs is LOGDIR. What scripts write there may hold secrets.
func (r *Run) scriptLogs() string { return filepath.Join(r.Config.SaveDir, "logs") }

// shelled is the project's resources.sh as a check.
func (r *Run) shelled(row Row) resources.Check {
	plugin, _ := r.Plan.Plugin(row.Project)
	return resources.Shelled{Dir: plugin.Dir, Run: func(ctx context.Context, args ...string) error {
		return r.script(ctx, row, "resources.sh", args...)
	}}
}

// nativeCloud is the cloud as the row's native check sees it.
func (r *Run) nativeCloud(row Row) resources.Cloud {
	seen := nativeView(r.cloud)
	seen.Store, seen.Tag, seen.Log = r.store(row.Project), r.ID, r.log.For(row.Phase.ID, row.Project)
	return seen
}

// nativeView is the cloud as native checks see it, without what is the run's.
func nativeView(cloud Cloud) resources.Cloud {
	access := cloud.Access()
	return resources.Cloud{
		AuthURL: access.AuthURL, Region: access.Region,
		Admin: resources.Credentials{
			Username: access.Username, Password: access.Password, Project: access.Project,
			UserDomain: access.UserDomain, ProjectDomain: access.ProjectDomain,
		},
		PublicNetwork: access.PublicNetwork, GuestImage: access.GuestImage, GuestFlavor: access.GuestFlavor,
		Node: cloud.Node(), Elsewhere: access.Elsewhere, Guestless: access.Guestless,
	}
}

// store is the run's memory as the project's check writes it.
func (r *Run) store(project string) *resources.Store {
	return &resources.Store{Dir: r.Config.SaveDir, Owner: project, OnOverwrite: func(over resources.Overwrite) {
		r.Note("store: %s overwrites [%s] %s, which %s saved", over.Now, over.Section, over.Key, over.Before)
	}}
}
