// Command clouds shows that the suite is not bound to its own plugins and its own
// cloud: a cloud of packages is upgraded as if it were somebody else's
// (GRENADE_TREE=external), and by upstream Grenade's own projects; and upstream's
// grenade.sh, on the same cloud, tells how long each takes.
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

const about = `Builds small clouds of packages (keystone, placement, glance) and upgrades each in
another way. As a cloud of somebody else's, GRENADE_TREE=external with the programs of
hack/clouds/commands: green; and red at upgrade/glance, when glance's upgrade is true.
With -grenade CHECKOUT, a checkout of upstream's Grenade at the target's branch, which
is only read: by upstream's own projects, unmodified: green; and red, when glance's
upgrade.sh does nothing; then by upstream's grenade.sh, by this suite with the same
projects, and by the tree's own work alone, phase by phase: a table of times, and what
is left of them without that work. Each run must leave nothing on the host. Stops when
its budget is used up and goes on at the next call.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var grenade string
	options, err := harness.ParseOptions("hack/clouds", about, os.Args[1:], os.Stderr, func(flags *flag.FlagSet) {
		flags.Func("grenade", "a checkout of upstream's Grenade", func(text string) (err error) {
			grenade, err = checkout(text)
			return err
		})
	})
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "clouds:", err)
		os.Exit(harness.ExitUsage)
	}
	if err := run(ctx, options, grenade); err != nil {
		fmt.Fprintln(os.Stderr, "clouds:", err)
		os.Exit(harness.ExitCode(err))
	}
}

// checkout is the absolute path of a checkout of upstream's Grenade.
func checkout(text string) (string, error) {
	dir, err := filepath.Abs(text)
	if err != nil {
		return "", fmt.Errorf("the checkout: %w", err)
	}
	for _, name := range []string{"grenade.sh", "projects/40_glance/upgrade.sh"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("%s is no checkout of upstream's Grenade: %w", text, err)
		}
	}
	return dir, nil
}

func run(ctx context.Context, options harness.Options, grenade string) (err error) {
	campaign, err := harness.NewCampaign(ctx, "clouds", options, os.Stdout)
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
	scratch, err := os.MkdirTemp("", "grenade-clouds-")
	if err != nil {
		return fmt.Errorf("a place for plugins and commands: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	// The stack user reads and runs what lies in there.
	if err := os.Chmod(scratch, 0o755); err != nil {
		return fmt.Errorf("a place for plugins and commands: %w", err)
	}
	tester := &tester{site: campaign.Site, before: before, scratch: scratch, grenade: grenade}
	if len(campaign.Ledger.Results) == 0 {
		if err := tester.forgetTimes(); err != nil {
			return err
		}
	}
	cases := tester.externalCases()
	if grenade != "" {
		cases = append(append(cases, tester.upstreamCases()...), tester.timesCases()...)
	}
	result := campaign.Run(ctx, cases)
	if grenade != "" {
		result = errors.Join(result, tester.timesTable(os.Stdout))
	}
	return errors.Join(result, campaign.Ledger.Table(os.Stdout))
}
