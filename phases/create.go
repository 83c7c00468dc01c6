package phases

import "context"

// create makes the project's resources: early_create those that other
// projects' resources need, create all others. The first phase's cloud row
// writes down what is there without them.
func (r *Run) create(ctx context.Context, row Row) error {
	if row.Cloud() {
		return r.takeInventory(ctx, row)
	}
	return r.check(ctx, row)
}
