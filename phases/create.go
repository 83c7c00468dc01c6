package phases

import "context"

// create makes the project's resources: early_create those that other
// projects' resources need, create all others.
func (r *Run) create(ctx context.Context, row Row) error {
	return r.check(ctx, row)
}
