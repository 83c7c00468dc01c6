// Command sabotage proves that the suite's verdicts can be trusted: it breaks runs
// from outside, in six ways that the suite does not know of, and checks that each
// turns the run red at the phase and project that it must.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"grenade/hack/internal/harness"
)

const about = `Runs hack/upgrade once undisturbed (green), then once per sabotage: red, the first
failed row of report.json being the expected one, junit.xml holding every planned
row and the failing script's output, and nothing left on the host. Sabotages that
only the checks of resources/ can see are repeated on copies of the source in which
the native checks, or all of them, are blind: the last must turn green. Stops when its
budget is used up and goes on at the next call.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	options, err := harness.ParseOptions("hack/sabotage", about, os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sabotage:", err)
		os.Exit(harness.ExitUsage)
	}
	if err := run(ctx, options); err != nil {
		fmt.Fprintln(os.Stderr, "sabotage:", err)
		os.Exit(harness.ExitCode(err))
	}
}

func run(ctx context.Context, options harness.Options) (err error) {
	campaign, err := harness.NewCampaign(ctx, "sabotage", options, os.Stdout)
	if err != nil {
		return err
	}
	if err := campaign.Prepare(ctx); err != nil {
		return err
	}
	before, err := harness.TakeSnapshot()
	if err != nil {
		return err
	}
	copies, err := os.MkdirTemp("", "grenade-blind-")
	if err != nil {
		return fmt.Errorf("a place for copies of the source: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(copies)) }()

	saboteur := &saboteur{site: campaign.Site, look: harness.TakeSnapshot, before: before, plan: campaign.Ledger.Plan}
	first := harness.Case{Name: "no sabotage: green", Do: func(ctx context.Context) (string, error) {
		plan, err := saboteur.undisturbed(ctx, "0-undisturbed")
		campaign.Ledger.Plan, saboteur.plan = plan, plan
		return fmt.Sprintf("green; %d rows", len(plan)), err
	}}
	if !campaign.Ledger.Has(first.Name) {
		if err := campaign.RunOnly(ctx, first); err != nil {
			return err
		}
	}
	cases := []harness.Case{first}
	if len(campaign.Ledger.Failed()) == 0 {
		cases = append(cases, saboteur.cases(copies)...)
	}
	result := campaign.Run(ctx, cases)
	return errors.Join(result, campaign.Ledger.Table(os.Stdout))
}

// cases are the sabotages on the product as it is, then those that only checks can
// see on the copies with blind checks.
func (s *saboteur) cases(copies string) []harness.Case {
	var cases []harness.Case
	for i, one := range sabotages() {
		cases = append(cases, harness.Case{
			Name: fmt.Sprintf("%s: red at %s (%s)", one.name, one.expected, one.catcher),
			Do: func(ctx context.Context) (string, error) {
				return s.commit(ctx, one, red, fmt.Sprintf("%d-full", i+1))
			},
		})
	}
	for i, one := range sabotages() {
		if one.catcher != byChecks {
			continue
		}
		for _, how := range []blindness{withoutNative, withoutAny} {
			want := green
			if how == withoutNative && one.shelled {
				want = red
			}
			cases = append(cases, harness.Case{
				Name: fmt.Sprintf("%s, with %s checks blind: %s", one.name, how.whose(), want),
				Do: func(ctx context.Context) (string, error) {
					blind := *s
					blind.site.Checkout = filepath.Join(copies, string(how))
					if err := blinded(ctx, s.site.Checkout, blind.site.Checkout, how); err != nil {
						return "", err
					}
					return blind.commit(ctx, one, want, fmt.Sprintf("%d-blind-%s", i+1, how))
				},
			})
		}
	}
	return cases
}
