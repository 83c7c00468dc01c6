package phases

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"grenade/framework/report"
	"grenade/resources"
)

// check runs the row's phase of the project's checks, the shelled one and the native
// one, side by side: neither knows of the other's resources, and while one waits for
// the cloud the other goes on. One that is resources.Solitary waits for the other to
// end first, unless both only look. The row is checked if either check is, and each
// is tried whatever comes of the other.
func (r *Run) check(ctx context.Context, row Row) error {
	checks := r.checksOf(row)
	kinds := make([]string, len(checks))
	outcomes := make([]error, len(checks))
	var running sync.WaitGroup
	for i, each := range checks {
		kinds[i] = each.kind
		if _, solitary := each.check.(resources.Solitary); solitary && !row.Phase.ReadOnly {
			running.Wait()
		}
		running.Go(func() { outcomes[i] = r.perform(ctx, row, each) })
	}
	r.progress.Waiting(strings.Join(kinds, " and ") + " check")
	running.Wait()

	var reasons []string
	var failures []error
	checked := false
	for i, err := range outcomes {
		var nothing *resources.NotChecked
		switch {
		case err == nil:
			checked = true
		case errors.As(err, &nothing):
			reasons = append(reasons, kinds[i]+": "+nothing.Reason)
		default:
			err = fmt.Errorf("%s check: %w", kinds[i], err)
			failures = append(failures, errors.Join(err, r.tellLog(row, kinds[i], err)))
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

// perform runs the row's phase of one check. A crash of it is its failure, not the
// suite's end.
func (r *Run) perform(ctx context.Context, row Row, one namedCheck) (err error) {
	defer func() {
		if crash := recover(); crash != nil {
			err = fmt.Errorf("panic: %v\n%s", crash, debug.Stack())
		}
	}()
	if one.kind == native {
		began := time.Now()
		defer func() { r.took(row, report.API, "native check", began) }()
	}
	return call(ctx, one.check, row.Phase)
}

// call calls the check's method for the phase.
func call(ctx context.Context, check resources.Check, phase *Phase) error {
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
