package phases

import "context"

// verifyNoAPI holds when what the project's resources do beneath the API still
// works while every API is down.
func (r *Run) verifyNoAPI(ctx context.Context, row Row) error {
	return r.check(ctx, row)
}
