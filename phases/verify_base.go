package phases

import (
	"context"

	"grenade/framework/config"
)

// verifyBase holds when the project's API answers and the process behind its
// port is the base release's code.
func (r *Run) verifyBase(ctx context.Context, row Row) error {
	return r.verifyServing(ctx, row.Project, config.Base)
}
