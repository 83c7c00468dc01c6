package phases

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"grenade/resources"
)

// withLeaks joins what came of destroy with what it left. Nothing to destroy is
// no reason to leave something.
func withLeaks(err, leaks error) error {
	var nothing *resources.NotChecked
	if leaks != nil && errors.As(err, &nothing) {
		return leaks
	}
	if leaks == nil {
		return err
	}
	return errors.Join(err, leaks)
}

// destroy removes the project's resources, and holds when nothing is there that
// was not there before create: in the service, and on the node. The phase's cloud row saves the
// node's logs and removes the node itself.
func (r *Run) destroy(ctx context.Context, row Row) error {
	if !row.Cloud() {
		err := r.check(ctx, row)
		return withLeaks(err, r.leaks(ctx, row, err))
	}
	if err := r.cloud.CollectLogs(ctx, filepath.Join(r.ResultsDir(), "logs", "node")); err != nil {
		r.Note("the node's logs could not be saved: %v", err)
	}
	if err := r.cloud.Dispose(ctx); err != nil {
		return fmt.Errorf("remove the cloud: %w", err)
	}
	return r.journal.Record(Event{Kind: EventRun, State: StateFinished})
}
