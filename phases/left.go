package phases

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"grenade/framework/tree"
	"grenade/resources"
)

// removeLeft removes what an earlier run left: the cloud, or what is in it where it is not ours to remove.
func (r *Run) removeLeft(ctx context.Context) error {
	if r.foreign == nil {
		return r.cloud.Dispose(ctx)
	}
	run, err := RemoveLeft(ctx, r.foreign, r.checks, r.Config.SaveDir)
	if run != "" && err == nil {
		r.Note("removed what run %s had left in the cloud", run)
	}
	return err
}

// RemoveLeft removes from the cloud what the run in saveDir made and did not remove, and returns that run's name; "" when there is
// no such run. It works from the run's store, which it leaves. A service
// that does not do it is tree.ErrEnvironment.
func RemoveLeft(ctx context.Context, cloud Foreign, checks NativeChecks, saveDir string) (run string, err error) {
	previous, err := PreviousRun(saveDir)
	if err != nil || !previous.InACloudOfYours() {
		return "", err
	}
	if err := cloud.Attach(ctx); err != nil {
		return previous.ID, err
	}
	seen := nativeView(cloud)
	seen.Tag, seen.Store = previous.ID, &resources.Store{Dir: saveDir}
	each := checks(seen)
	order, err := cloud.Requires(slices.Sorted(maps.Keys(each)))
	if err != nil {
		return previous.ID, fmt.Errorf("in which order projects are removed: %w", err)
	}
	var failures []error
	for _, project := range slices.Backward(order) {
		check, exists := each[project]
		if !exists {
			continue
		}
		if err := check.Destroy(ctx); err != nil && !resources.IsNotChecked(err) {
			failures = append(failures, tree.Environment(fmt.Errorf("destroy of %s, run %s: %w", project, previous.ID, err)))
		}
	}
	return previous.ID, errors.Join(failures...)
}
