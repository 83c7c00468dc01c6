package phases

import (
	"context"
	"fmt"
	"strings"

	"grenade/framework/config"
	"grenade/resources"
)

// upgrade runs the project's upgrade.sh, and holds when the target release's
// code is what runs afterwards. The phase's cloud row makes that code
// available, and judges how the releases' units differ.
func (r *Run) upgrade(ctx context.Context, row Row) error {
	if row.Cloud() {
		// A run that begins here has nobody under watch yet.
		if err := r.watchWitnesses(ctx); err != nil {
			return err
		}
		if r.foreign != nil {
			return &resources.NotChecked{Reason: "the operator's own upgrade makes the target's code available"}
		}
		return r.prepareTarget(ctx, row)
	}
	return r.scriptAndProof(ctx, row, "upgrade.sh", config.Target, r.proveUpgraded)
}

func (r *Run) prepareTarget(ctx context.Context, row Row) error {
	units, err := r.trees.PrepareTarget(ctx, r.LogFile(row.Phase.ID, row.Project), r.progress.Waiting)
	if err != nil {
		return fmt.Errorf("prepare the %s tree: %w", config.Target, err)
	}
	for _, difference := range units.Differences {
		r.Note("%s", difference)
	}
	if len(units.Undeclared) > 0 {
		return &Unmet{
			What: "the releases' units differ in ways that nobody declared",
			Want: "every difference declared, with a reason, in the tree's lib/<service>",
			Saw:  strings.Join(units.Undeclared, "\n"),
		}
	}
	return nil
}
