package phases

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"grenade/framework/report"
	"grenade/resources"
)

// check runs the row's phase of the project's checks: the shelled one, then
// the native one. The row is checked if either of them is. Destroy tries both
// whatever comes of the first.
func (r *Run) check(ctx context.Context, row Row) error {
	var (
		reasons  []string
		failures []error
		checked  bool
	)
	for _, each := range r.checksOf(row) {
		began := time.Now()
		r.progress.Waiting(each.kind + " check")
		err := perform(ctx, each.check, row.Phase)
		if each.kind == native {
			r.took(row, report.API, "native check", began)
		}
		var nothing *resources.NotChecked
		switch {
		case err == nil:
			checked = true
		case errors.As(err, &nothing):
			reasons = append(reasons, each.kind+": "+nothing.Reason)
		default:
			err = fmt.Errorf("%s check: %w", each.kind, err)
			failures = append(failures, errors.Join(err, r.tellLog(row, each.kind, err)))
		}
		if len(failures) > 0 && row.Phase.ID != Destroy {
			break
		}
	}
	if len(failures) > 0 {
		return errors.Join(failures...)
	}
	if !checked {
		return &resources.NotChecked{Reason: strings.Join(reasons, "; ")}
	}
	return nil
}

// The two kinds of check that a project may have.
const (
	shelled = "shelled"
	native  = "native"
)

// namedCheck is a check, and the kind that the report calls it.
type namedCheck struct {
	kind  string
	check resources.Check
}

func (r *Run) checksOf(row Row) []namedCheck {
	checks := []namedCheck{{kind: shelled, check: r.shelled(row)}}
	if check, exists := r.checks(r.nativeCloud(row))[row.Project]; exists {
		checks = append(checks, namedCheck{kind: native, check: check})
	}
	if row.Phase.ID == Destroy {
		// Whoever came last leaves first.
		checks[0], checks[len(checks)-1] = checks[len(checks)-1], checks[0]
	}
	return checks
}

// tellLog adds to the row's log what a native check found: a script has told
// its story there already.
func (r *Run) tellLog(row Row, kind string, found error) (err error) {
	if kind != native {
		return nil
	}
	file, err := os.OpenFile(r.LogFile(row.Phase.ID, row.Project), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("the row's log: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := fmt.Fprintln(file, found); err != nil {
		return fmt.Errorf("the row's log: %w", err)
	}
	return nil
}

// perform calls the check's method for the phase.
func perform(ctx context.Context, check resources.Check, phase Phase) error {
	switch phase.ID {
	case EarlyCreate:
		return check.EarlyCreate(ctx)
	case Create:
		return check.Create(ctx)
	case VerifyPreUpgrade, VerifyPostUpgrade:
		return check.Verify(ctx, phase.Stage)
	case VerifyNoAPI:
		return check.VerifyNoAPI(ctx, phase.Stage)
	case Destroy:
		return check.Destroy(ctx)
	default:
		return fmt.Errorf("phase %s is not one of a check's", phase.ID)
	}
}
