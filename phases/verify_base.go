package phases

import (
	"context"

	"grenade/framework/config"
)

// verifyBase holds when the project's API answers and the process behind its
// port is the base release's code. Tempest's row runs its smoke set.
func (r *Run) verifyBase(ctx context.Context, row Row) error {
	if row.Tempest() {
		return r.smoke(ctx, row, config.Base)
	}
	return r.verifyServing(ctx, row.Project, config.Base)
}
