package phases

import "context"

// verify holds when every resource of the project is as create saved it.
func (r *Run) verify(ctx context.Context, row Row) error {
	return r.check(ctx, row)
}
