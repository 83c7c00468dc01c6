// Command sabotage proves that the suite's verdicts can be trusted: it breaks runs
// from outside, in ways that the suite does not know of, and checks that each
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
	"slices"
	"strings"
	"syscall"

	"grenade/hack/internal/harness"
)

const about = `On each of five clouds, with no more projects than its sabotages need: builds the
base cloud once and saves it; runs hack/upgrade on a copy of it undisturbed (green),
then once per sabotage: red, the first failed row of report.json being the expected
one, junit.xml holding every planned row and the failing script's output, and nothing
left on the host. Sabotages of the smallest cloud that only the checks of resources/
can see are repeated on copies of the source in which the native checks, or all of
them, are blind: the last must turn green. Stops when its budget is used up and goes
on at the next call. The cases' names begin with their cloud's: identity, object,
network, compute, volume; -only '^(network|compute):' takes those alone. With -plugin
NAME=CHECKOUT (designate, barbican) there are sabotages of that plugin's project, too,
on clouds that each run builds itself.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	plugins := map[string]string{}
	options, err := harness.ParseOptions("hack/sabotage", about, os.Args[1:], os.Stderr, func(flags *flag.FlagSet) {
		flags.Func("plugin", "NAME=CHECKOUT: sabotage that plugin's project, too; may be repeated", func(text string) error {
			return addPlugin(plugins, text)
		})
	})
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sabotage:", err)
		os.Exit(harness.ExitUsage)
	}
	if err := run(ctx, options, plugins); err != nil {
		fmt.Fprintln(os.Stderr, "sabotage:", err)
		os.Exit(harness.ExitCode(err))
	}
}

// addPlugin reads NAME=CHECKOUT. A run in another directory must find the checkout, too.
func addPlugin(plugins map[string]string, text string) error {
	name, checkout, _ := strings.Cut(text, "=")
	if !slices.ContainsFunc(pluginStages(), func(on stage) bool { return on.plugin == name }) {
		return fmt.Errorf("%q is not NAME=CHECKOUT: there are sabotages of %s and %s", text, designate, barbican)
	}
	dir, err := filepath.Abs(checkout)
	if err != nil {
		return fmt.Errorf("plugin %s: %w", name, err)
	}
	settings := filepath.Join(dir, "devstack/upgrade/settings")
	if _, err := os.Stat(settings); err != nil {
		return fmt.Errorf("plugin %s: %w", name, err)
	}
	plugins[name] = dir
	return nil
}

func run(ctx context.Context, options harness.Options, plugins map[string]string) (err error) {
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

	layers, err := layersDir(os.Getenv)
	if err != nil {
		return err
	}
	if len(campaign.Ledger.Results) == 0 {
		// Those of a set that was given up.
		if err := dropLayers(layers); err != nil {
			return err
		}
	}
	if campaign.Ledger.Plans == nil {
		campaign.Ledger.Plans = map[string][]harness.Row{}
	}
	saboteur := &saboteur{site: campaign.Site, look: harness.TakeSnapshot, before: before, layers: layers, plans: campaign.Ledger.Plans, plugins: plugins}
	result := campaign.Run(ctx, saboteur.cases(copies))
	if !campaign.Ledger.Finished.IsZero() {
		result = errors.Join(result, dropLayers(layers))
	}
	return errors.Join(result, campaign.Ledger.Table(os.Stdout))
}

// cases are, stage by stage, the making of its base cloud, its undisturbed run, and
// the sabotages on it; then those that only checks can see on the copies with blind
// checks.
func (s *saboteur) cases(copies string) []harness.Case {
	var cases []harness.Case
	for _, on := range s.stages() {
		if on.plugin == "" {
			cases = append(cases, harness.Case{Name: on.name + ": a base cloud to copy", Do: func(ctx context.Context) (string, error) {
				return s.makeLayer(ctx, on)
			}})
		}
		cases = append(cases, harness.Case{Name: on.name + ": no sabotage: green", Do: func(ctx context.Context) (string, error) {
			plan, err := s.undisturbed(ctx, on)
			s.plans[on.name] = plan
			return fmt.Sprintf("green; %d rows", len(plan)), err
		}})
		cases = append(cases, s.sabotagesOn(on)...)
	}
	return append(cases, s.blindCases(copies)...)
}

// stages are all, but for those of plugins that nobody has.
func (s *saboteur) stages() []stage {
	all := stages()
	for _, on := range pluginStages() {
		if s.plugins[on.plugin] != "" {
			all = append(all, on)
		}
	}
	return all
}

func (s *saboteur) sabotagesOn(on stage) []harness.Case {
	var cases []harness.Case
	for i, one := range sabotages() {
		if one.on != on {
			continue
		}
		cases = append(cases, harness.Case{
			Name: fmt.Sprintf("%s: %s: red at %s (%s)", on.name, one.name, one.expected, one.catcher),
			Do: func(ctx context.Context) (string, error) {
				return s.commit(ctx, one, red, fmt.Sprintf("%d-full", i+1))
			},
		})
	}
	return cases
}

// blindCases are the sabotages of the first set, for which it is shown which of the
// checks sees them.
func (s *saboteur) blindCases(copies string) []harness.Case {
	var cases []harness.Case
	for i, one := range sabotages() {
		if one.catcher != byChecks || one.on != identity() {
			continue
		}
		for _, how := range []blindness{withoutNative, withoutAny} {
			want := green
			if how == withoutNative && one.shelled {
				want = red
			}
			cases = append(cases, harness.Case{
				Name: fmt.Sprintf("%s: %s, with %s checks blind: %s", one.on.name, one.name, how.whose(), want),
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
