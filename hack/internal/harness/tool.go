package harness

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// Options are what the attacking tools have in common on their command line.
type Options struct {
	Checkout, Results string
	Budget, CaseLimit time.Duration
	Again             bool
	// Only selects cases by name; nil selects all.
	Only *regexp.Regexp
}

// The exit codes of the attacking tools.
const (
	ExitPassed = 0
	ExitFailed = 1
	ExitUsage  = 2
	ExitBroken = 3
	// ExitUnfinished is EX_TEMPFAIL of sysexits.h: run it again.
	ExitUnfinished = 75
)

// ParseOptions reads the command line; about says what the tool does, more adds
// options of its own.
func ParseOptions(name, about string, args []string, stderr io.Writer, more ...func(*flag.FlagSet)) (Options, error) {
	var options Options
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&options.Checkout, "checkout", ".", "the source tree whose runs are attacked")
	flags.StringVar(&options.Results, "results", "results", "directory for the dated result file and the runs' output")
	flags.DurationVar(&options.Budget, "budget", 55*time.Minute, "how long this call may take; the next one goes on")
	flags.DurationVar(&options.CaseLimit, "case-limit", 20*time.Minute, "how long one case may take")
	flags.Func("only", "a regular expression: run only the cases whose names match, and leave the others to another call", func(text string) error {
		only, err := regexp.Compile(text)
		options.Only = only
		return err //nolint:wrapcheck // the flag package names the option
	})
	flags.BoolVar(&options.Again, "again", false, "begin anew, also when there are unfinished results")
	for _, add := range more {
		add(flags)
	}
	flags.Usage = func() {
		fmt.Fprintf(stderr, "usage: %s [options]\n\n%s\nExit code: 0 all passed, 1 a case failed, 2 usage, 3 the tool could not work, 75 unfinished.\n\n", name, about)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return Options{}, fmt.Errorf("command line: %w", err)
	}
	if flags.NArg() > 0 {
		return Options{}, fmt.Errorf("command line: what is %q? %s takes options only", flags.Arg(0), name)
	}
	return options, nil
}

// NewCampaign opens the ledger of the kind for the options' checkout.
func NewCampaign(ctx context.Context, kind string, options Options, out io.Writer) (*Campaign, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("this needs root: it starts runs, and signals their processes")
	}
	results, err := filepath.Abs(options.Results)
	if err != nil {
		return nil, fmt.Errorf("the results: %w", err)
	}
	site, err := NewSite(options.Checkout, filepath.Join(results, kind), os.Getenv)
	if err != nil {
		return nil, err
	}
	commit, err := site.Commit(ctx)
	if err != nil {
		return nil, err
	}
	ledger, err := OpenLedger(results, kind, commit, options.Again)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "%s of %s: results in %s", kind, commit, ledger.Path())
	if len(ledger.Results) > 0 {
		fmt.Fprintf(out, ", going on after %d cases", len(ledger.Results))
	}
	fmt.Fprintln(out)
	return &Campaign{
		Site: site, Ledger: ledger, Out: out,
		Budget: options.Budget, CaseLimit: options.CaseLimit, FirstGuess: 4 * time.Minute, Only: options.Only,
	}, nil
}

// ExitCode is the exit code for the campaign's end.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return ExitPassed
	case errors.Is(err, ErrFailed):
		return ExitFailed
	case errors.Is(err, ErrUnfinished):
		return ExitUnfinished
	default:
		return ExitBroken
	}
}
