package phases

import (
	"context"
	"fmt"
	"path/filepath"
)

// destroy removes the project's resources. The phase's cloud row saves the
// node's logs and removes the node itself.
func (r *Run) destroy(ctx context.Context, row Row) error {
	if !row.Cloud() {
		return r.check(ctx, row)
	}
	if err := r.cloud.CollectLogs(ctx, filepath.Join(r.ResultsDir(), "logs", "node")); err != nil {
		r.Note("the node's logs could not be saved: %v", err)
	}
	if err := r.cloud.Dispose(ctx); err != nil {
		return fmt.Errorf("remove the cloud: %w", err)
	}
	return r.journal.Record(Event{Kind: EventRun, State: StateFinished})
}
