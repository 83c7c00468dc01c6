// Command compare runs public Grenade plugins side by side under upstream Grenade's
// own shell and under ours, without a cloud, and says where the two differ: the
// projects, their directories and databases, both trees' local.conf byte for byte,
// and for every script of every phase its arguments, directory, environment and
// turn. Settings are the plugins' own; recording stubs stand in the place of their
// other scripts, in copies that are removed afterwards.
//
//	compare -grenade DIR -devstack DIR [-tools DIR] [options] PLUGIN_CHECKOUT...
//
// All of them are git checkouts of the caller's; nothing of theirs is kept here. What
// is meant to differ is declared (declared.go), one by one, with a reason.
//
// Exit code: 0 all is the same or declared, 1 something differs, or a declaration
// explains nothing, 2 usage, 3 the comparison could not be made.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// The exit codes.
const (
	exitDiffers = 1
	exitUsage   = 2
	exitBroken  = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	same, err := run(ctx, os.Args[1:], os.Stdout, declared())
	var usage *usageError
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(exitUsage)
	case err != nil:
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(exitBroken)
	case !same:
		os.Exit(exitDiffers)
	}
}

// usageError is a mistake in the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// options are what the command line says.
type options struct {
	grenade, devstack, tools string
	base, target             string
	together, keep, markdown bool
	ourSettings              bool
	limit                    time.Duration
	plugins                  []string
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "usage: compare -grenade DIR -devstack DIR [-tools DIR] [options] PLUGIN_CHECKOUT...\n\n"+
			"Every DIR and PLUGIN_CHECKOUT is a git checkout, of which the commit that it has is compared.\n\n")
		flags.PrintDefaults()
	}
	flags.StringVar(&o.grenade, "grenade", "", "upstream Grenade")
	flags.StringVar(&o.devstack, "devstack", "", "DevStack, the tree of both sides")
	flags.StringVar(&o.tools, "tools", "", "devstack-tools, whose dsconf upstream writes local.conf with; default: an installed dsconf")
	flags.StringVar(&o.base, "base", "stable/2025.1", "BASE_DEVSTACK_BRANCH")
	flags.StringVar(&o.target, "target", "stable/2026.1", "TARGET_DEVSTACK_BRANCH")
	flags.BoolVar(&o.together, "together", false, "all plugins in one run, in place of one run each")
	flags.BoolVar(&o.ourSettings, "our-settings", false, "on our side the eight projects' settings are our own, in place of upstream's")
	flags.BoolVar(&o.keep, "keep", false, "keep the working directory of every run, and say where it is")
	flags.BoolVar(&o.markdown, "markdown", false, "tables as Markdown has them")
	flags.DurationVar(&o.limit, "limit", 10*time.Minute, "how long each of the two may take for one run")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, flag.ErrHelp
		}
		return o, &usageError{err.Error()}
	}
	for name, dir := range map[string]string{"-grenade": o.grenade, "-devstack": o.devstack} {
		if dir == "" {
			return o, &usageError{"which checkout is " + name + "? (-help)"}
		}
	}
	o.plugins = flags.Args()
	dirs := append([]*string{&o.grenade, &o.devstack}, pointers(o.plugins)...)
	if o.tools != "" {
		dirs = append(dirs, &o.tools)
	} else if _, err := exec.LookPath("dsconf"); err != nil {
		return o, &usageError{"upstream writes local.conf with dsconf: install it, or say with -tools where a checkout of devstack-tools is"}
	}
	for _, dir := range dirs {
		absolute, err := filepath.Abs(*dir)
		if err != nil {
			return o, fmt.Errorf("%s: %w", *dir, err)
		}
		*dir = absolute
	}
	return o, nil
}

func pointers(texts []string) []*string {
	all := make([]*string, len(texts))
	for i := range texts {
		all[i] = &texts[i]
	}
	return all
}

// run compares, and tells whether all is the same or declared.
func run(ctx context.Context, args []string, out io.Writer, meant []declaration) (bool, error) {
	o, err := parse(args)
	if err != nil {
		return false, err
	}
	judge := newJudge(meant, o.base)
	result := &outcome{out: out}
	fmt.Fprintf(out, "from %s to %s\n", o.base, o.target)
	for _, set := range o.sets() {
		pair, err := comparison(ctx, o, set, out)
		if err != nil {
			return false, fmt.Errorf("%s: %w", setName(set), err)
		}
		result.add(pair, judge.look(pair))
	}
	return result.tell(judge, o.markdown)
}

// sets are the plugins of each run. Upstream's own projects are in every one.
func (o options) sets() [][]string {
	if o.together || len(o.plugins) == 0 {
		return [][]string{o.plugins}
	}
	var sets [][]string
	for _, dir := range o.plugins {
		sets = append(sets, []string{dir})
	}
	return sets
}

// setName is what a set of plugins is called in the report.
func setName(set []string) string {
	switch len(set) {
	case 0:
		return "upstream's own"
	case 1:
		return filepath.Base(set[0])
	default:
		return fmt.Sprintf("%d together", len(set))
	}
}
