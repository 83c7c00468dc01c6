// Command kill proves that a run may be killed anywhere: it starts whole runs, sends
// SIGKILL to the suite, or to the Ginkgo CLI, as soon as a given phase has started,
// and checks that make clean, or the next start, leaves nothing on the host.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"grenade/hack/internal/harness"
)

const about = `Starts whole runs of hack/upgrade and kills the suite, or the Ginkgo CLI, with
SIGKILL in each phase; then make clean, or the next start, must leave no mount,
link, route, process or control group of the run. Begins with one whole green run,
which also tells the phases. Takes a few hours in all: it stops when its budget is
used up and goes on at the next call.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	options, err := harness.ParseOptions("hack/kill", about, os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kill:", err)
		os.Exit(harness.ExitUsage)
	}
	if err := run(ctx, options); err != nil {
		fmt.Fprintln(os.Stderr, "kill:", err)
		os.Exit(harness.ExitCode(err))
	}
}

func run(ctx context.Context, options harness.Options) error {
	campaign, err := harness.NewCampaign(ctx, "kill", options, os.Stdout)
	if err != nil {
		return err
	}
	if err := campaign.Prepare(ctx); err != nil {
		return err
	}
	killer, err := newKiller(campaign.Site, harness.TakeSnapshot)
	if err != nil {
		return err
	}
	// The whole run comes first, alone: only then the phases are known.
	first := harness.Case{Name: "a whole run without a kill", Do: func(ctx context.Context) (string, error) {
		phases, err := killer.wholeRun(ctx, "0-whole")
		campaign.Ledger.Phases = phases
		return fmt.Sprintf("green; %d phases", len(phases)), err
	}}
	cases := []harness.Case{first}
	if !campaign.Ledger.Has(first.Name) {
		if err := campaign.RunOnly(ctx, first); err != nil {
			return err
		}
	}
	if len(campaign.Ledger.Failed()) == 0 {
		attacks, err := plan(campaign.Ledger.Phases)
		if err != nil {
			return err
		}
		for _, attack := range attacks {
			cases = append(cases, harness.Case{Name: attack.String(), Do: func(ctx context.Context) (string, error) {
				return killer.attack(ctx, attack)
			}})
		}
	}
	result := campaign.Run(ctx, cases)
	return errors.Join(result, campaign.Ledger.Table(os.Stdout))
}
