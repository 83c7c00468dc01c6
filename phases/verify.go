package phases

import (
	"context"
	"errors"

	"grenade/resources"
)

// verify holds when every resource of the project is as create saved it, and,
// after the upgrade, what must answer all the time has done so.
func (r *Run) verify(ctx context.Context, row Row) error {
	var silence error
	if row.Phase.ID == VerifyPostUpgrade {
		// Before the check, which may restart what was watched.
		silence = r.hearWitnesses(row.Project)
	}
	err := r.check(ctx, row)
	if silence == nil {
		return err
	}
	if resources.IsNotChecked(err) {
		return silence
	}
	return errors.Join(silence, err)
}
