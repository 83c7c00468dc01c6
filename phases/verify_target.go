package phases

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"grenade/framework/config"
	"grenade/resources"
)

// verifyTarget holds when the project's API answers from the target release's
// code, and saves its databases again. The phase's cloud row proves that
// whatever was not to be upgraded was left alone.
func (r *Run) verifyTarget(ctx context.Context, row Row) error {
	if row.Cloud() {
		return r.proveUntouched(ctx)
	}
	if row.Tempest() {
		return r.smoke(ctx, row, config.Target)
	}
	unserved := r.verifyServing(ctx, row.Project, config.Target)
	if unserved != nil && !resources.IsNotChecked(unserved) {
		return unserved
	}
	if err := r.saveDatabases(ctx, row, config.Target); err != nil {
		return err
	}
	return unserved
}

// proveUntouched holds when the processes of every project in the cloud that
// the selection does not upgrade are those that ran before.
func (r *Run) proveUntouched(ctx context.Context) error {
	if r.foreign != nil {
		return r.proveVersionsUntouched(ctx)
	}
	var changed []string
	for _, project := range r.Selection.Closure {
		if slices.Contains(r.Selection.Projects, project) {
			continue
		}
		now, _, err := r.processes(ctx, project, config.Base)
		if err != nil {
			return err
		}
		r.mu.Lock()
		before := r.projectEvidence(project).Before
		r.projectEvidence(project).After = now
		r.mu.Unlock()
		changed = append(changed, processChanges(project, before, now)...)
	}
	if len(changed) > 0 {
		return &Unmet{
			What: "services that are not part of this upgrade were touched",
			Want: fmt.Sprintf("the same processes as before shutdown for every project but %s", strings.Join(r.Selection.Projects, " ")),
			Saw:  strings.Join(changed, "\n"),
		}
	}
	return nil
}
