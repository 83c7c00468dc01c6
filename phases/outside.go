package phases

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/framework/probe"
	"grenade/framework/report"
	"grenade/plugins"
	"grenade/resources"
)

// ownSettings are what settings files would say: nobody runs them, since there is no
// tree. A project that the cloud has not is none of the run's.
func (r *Run) ownSettings() plugins.Settings {
	settings := plugins.Settings{
		PluginDir: map[string]string{}, Databases: map[string][]string{}, Exports: map[string]string{}, Dropped: map[string]string{},
		BaseRunSmoke: "False", TargetRunSmoke: "False", VerifyResources: "True", EnableTempest: "False",
	}
	for _, project := range r.Plan.Projects() {
		if _, known := r.cloud.Service(project, config.Base); !known {
			settings.Dropped[project] = "the cloud, whose catalog does not have it"
			continue
		}
		settings.Order = append(settings.Order, project)
		if plugin, known := r.Plan.Plugin(project); known {
			settings.PluginDir[project] = plugin.Dir
		}
	}
	return settings
}

// command runs what stands in the place of a plugin's script, to the first that fails. It returns
// *resources.NotChecked when nothing does.
func (r *Run) command(ctx context.Context, row Row, name string) error {
	instead, err := r.foreign.Script(row.Project, name)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", name, row.Project, err)
	}
	for _, args := range instead.Commands {
		began := time.Now()
		_, err = r.cloud.Node().Run(ctx, node.Command{User: r.Config.StackUser, Command: exec.Command{
			Args: args, Log: r.LogFile(row.Phase.ID, row.Project), Timeout: r.Config.ScriptTimeout, OnLine: r.progress.Waiting,
		}})
		r.took(row, report.Script, filepath.Base(args[0]), began)
		if err != nil {
			return err
		}
	}
	if instead.Missing != "" {
		return &resources.NotChecked{Reason: instead.Missing}
	}
	return nil
}

// commandAndProof runs the command, and has proved what can be seen of it from
// outside: that a stopped API is silent, and that another version runs after the
// upgrade. A command that is missing leaves the row unchecked, unless the version has
// changed all the same: an operator may upgrade all of his cloud at once.
func (r *Run) commandAndProof(ctx context.Context, row Row, name string, side config.Side) error {
	ran := r.command(ctx, row, name)
	if ran != nil && !resources.IsNotChecked(ran) {
		return ran
	}
	if side == config.Base {
		if ran != nil {
			return ran
		}
		return r.proveSilent(ctx, row.Project)
	}
	r.mu.Lock()
	before := r.projectEvidence(row.Project).Version
	r.mu.Unlock()
	after, err := r.foreign.Version(ctx, row.Project)
	switch {
	case err != nil:
		return err
	case ran != nil && (before == "" || before == after):
		return ran
	case before == "" || after == "":
		return &resources.NotChecked{Reason: "the upgrade did not fail, and whether anything is new is not known: there is no command version for " + row.Project}
	case before == after:
		return &Unmet{
			What: fmt.Sprintf("%s was not upgraded, although its upgrade did not fail", row.Project),
			Want: "another version than before",
			Saw:  after,
		}
	}
	r.Note("%s: version %s -> %s", row.Project, before, after)
	return nil
}

// silentWithin is how long an API that was stopped may still answer, where one may take as long to answer.
const silentWithin = 10 * time.Second

// proveSilent holds when nothing answers any more where the project's API was. What a
// proxy before it says of that is no answer.
func (r *Run) proveSilent(ctx context.Context, project string) error {
	service, _ := r.cloud.Service(project, config.Base)
	if service.URL == "" {
		return &resources.NotChecked{Reason: "where its API answers is not known"}
	}
	answered := func(status int) bool { return status < http.StatusInternalServerError }
	return resources.WaitFor(ctx, resources.Wait{Object: project + "'s API at " + service.URL, Limit: min(silentWithin, r.Config.ServiceTimeout), Every: time.Second},
		func(ctx context.Context) (resources.Progress, error) {
			err := probe.HTTP(ctx, service.URL, answered)
			// A question that was cut short is no silence.
			return resources.Progress{Done: err != nil && ctx.Err() == nil, Status: "it answers after its stop"}, nil
		})
}

// recordVersions writes down which versions run before anything is stopped.
func (r *Run) recordVersions(ctx context.Context) error {
	for _, project := range r.settings.Order {
		version, err := r.foreign.Version(ctx, project)
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.projectEvidence(project).Version = version
		r.mu.Unlock()
	}
	return r.saveState()
}

// proveVersionsUntouched holds when the projects that are not part of the upgrade run
// the version that they ran before.
func (r *Run) proveVersionsUntouched(ctx context.Context) error {
	var changed []string
	compared := 0
	for _, project := range r.settings.Order {
		r.mu.Lock()
		before := r.projectEvidence(project).Version
		r.mu.Unlock()
		if before == "" || slices.Contains(r.Selection.Projects, project) {
			continue
		}
		now, err := r.foreign.Version(ctx, project)
		if err != nil {
			return err
		}
		compared++
		if now != before {
			changed = append(changed, fmt.Sprintf("%s: %s -> %s", project, before, now))
		}
	}
	switch {
	case len(changed) > 0:
		return &Unmet{
			What: "services that are not part of this upgrade were touched",
			Want: fmt.Sprintf("the same versions as before for every project but %s", strings.Join(r.Selection.Projects, " ")),
			Saw:  strings.Join(changed, "\n"),
		}
	case compared == 0:
		return &resources.NotChecked{Reason: "there is no other project whose version is known"}
	default:
		return nil
	}
}
