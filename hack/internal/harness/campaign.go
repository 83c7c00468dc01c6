package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
)

// Case is one attack: Do returns what was seen, and an error when it was not what
// must be seen.
type Case struct {
	Name string
	Do   func(context.Context) (string, error)
}

// Campaign runs cases one after the other and keeps their results.
type Campaign struct {
	Site   Site
	Ledger *Ledger
	// Budget is how long one call may take; a case that would probably not fit is
	// left to the next call.
	Budget time.Duration
	// CaseLimit bounds one case.
	CaseLimit time.Duration
	// FirstGuess is how long a case is taken to last before one has been seen.
	FirstGuess time.Duration
	// Only, if not nil, leaves cases whose names do not match it to another call.
	Only *regexp.Regexp
	Out  io.Writer
}

// ErrUnfinished tells that the budget was used up; the next call goes on.
var ErrUnfinished = errors.New("unfinished: run it again to go on")

// ErrFailed tells that a case failed.
var ErrFailed = errors.New("a case failed")

// Prepare refuses a site that holds somebody's cloud, and removes what a killed
// call of the same campaign left.
func (c *Campaign) Prepare(ctx context.Context) error {
	used, err := c.Site.InUse()
	if err != nil {
		return err
	}
	if used && c.Ledger.Current == "" {
		return fmt.Errorf("there is a cloud in %s, perhaps kept on purpose: make clean removes it", c.Site.StackRoot)
	}
	return c.Site.Clean(ctx)
}

// Run runs the cases that have no result yet. It is ErrFailed when a case has
// failed, in this call or an earlier one, and ErrUnfinished when not all have run.
func (c *Campaign) Run(ctx context.Context, cases []Case) error {
	began := time.Now()
	unfinished := false
	for i, one := range cases {
		if c.Ledger.Has(one.Name) {
			continue
		}
		if c.Only != nil && !c.Only.MatchString(one.Name) {
			unfinished = true
			continue
		}
		if expected := max(c.Ledger.Slowest(), c.FirstGuess); time.Since(began)+expected > c.Budget {
			fmt.Fprintf(c.Out, "%s of %s are used up; %d of %d cases are left\n",
				time.Since(began).Round(time.Second), c.Budget, c.left(cases), len(cases))
			unfinished = true
			break
		}
		fmt.Fprintf(c.Out, "[%d/%d] %s …\n", i+1, len(cases), one.Name)
		if err := c.one(ctx, one); err != nil {
			return err
		}
	}
	if !unfinished && c.Ledger.Finished.IsZero() {
		if err := c.Ledger.Finish(); err != nil {
			return err
		}
	}
	switch {
	case len(c.Ledger.Failed()) > 0:
		return fmt.Errorf("%d of %d results: %w", len(c.Ledger.Failed()), len(c.Ledger.Results), ErrFailed)
	case unfinished:
		return ErrUnfinished
	}
	return nil
}

// RunOnly runs one case, whatever the budget, for a tool that knows its other cases
// only after it.
func (c *Campaign) RunOnly(ctx context.Context, one Case) error {
	fmt.Fprintf(c.Out, "%s …\n", one.Name)
	return c.one(ctx, one)
}

func (c *Campaign) left(cases []Case) int {
	left := 0
	for _, one := range cases {
		if !c.Ledger.Has(one.Name) {
			left++
		}
	}
	return left
}

// one runs one case. The error is one of the tool, not of the case.
func (c *Campaign) one(ctx context.Context, one Case) error {
	if err := c.Ledger.Begin(one.Name); err != nil {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, c.CaseLimit, fmt.Errorf("the case's limit of %s is over", c.CaseLimit))
	defer cancel()
	result := Result{Case: one.Name, Began: time.Now()}
	detail, err := one.Do(limited)
	result.Seconds = time.Since(result.Began).Seconds()
	result.Passed, result.Detail = err == nil, detail
	if err != nil {
		result.Detail = err.Error()
		if detail != "" {
			result.Detail = detail + "; " + result.Detail
		}
	}
	if ctx.Err() != nil {
		// Interrupted: the case has no result, and stays the current one so that
		// the next call cleans up after it, should this fail now.
		return errors.Join(context.Cause(ctx), c.Site.Clean(context.WithoutCancel(ctx)))
	}
	outcome := "passed"
	if !result.Passed {
		outcome = "FAILED"
	}
	fmt.Fprintf(c.Out, "      %s after %.0f s: %s\n", outcome, result.Seconds, result.Detail)
	if !result.Passed {
		// The next case must not start from this one's ruins.
		if err := c.Site.Clean(ctx); err != nil {
			return errors.Join(err, c.Ledger.Record(result))
		}
	}
	return c.Ledger.Record(result)
}
