// Command plugincheck tells authors of Grenade plugins what is wrong with them, from
// their text alone: no cloud, nothing is run but bash -n.
//
//	plugincheck [-tree DIR] [-brief] DIR...
//	plugincheck -rules
//
// Exit code: 0 nothing found, 1 findings, 2 usage or a file that cannot be read. Go's
// run turns every code into 1; hack/plugin-check keeps them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"

	"grenade/framework/tree/debstack"
	"grenade/phases"
	"grenade/plugins/plugincheck"
)

// The exit codes.
const (
	exitFound = 1
	exitUsage = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	found, err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "plugin-check:", err)
		os.Exit(exitUsage)
	case found > 0:
		os.Exit(exitFound)
	}
}

// run returns how many findings there are.
func run(ctx context.Context, args []string, out io.Writer) (int, error) {
	flags := flag.NewFlagSet("plugin-check", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "usage: hack/plugin-check [-tree DIR] [-brief] DIR...\n\n"+
			"DIR is a plugin's directory, a checkout with devstack/upgrade, or a directory of plugins.\n\n")
		flags.PrintDefaults()
	}
	tree := flags.String("tree", "", "directory with functions and lib/ that scripts source, such as a DevStack checkout; default: debstack's")
	brief := flags.Bool("brief", false, "one line a finding, without reasons")
	rules := flags.Bool("rules", false, "list the rules, and look at nothing")
	if err := flags.Parse(args); err != nil {
		return 0, fmt.Errorf("usage: %w", err)
	}
	if *rules {
		listRules(out)
		return 0, nil
	}
	if flags.NArg() == 0 {
		return 0, errors.New("which plugin? hack/plugin-check DIR... (make plugin-check DIR=…)")
	}
	var dirs []string
	for _, path := range flags.Args() {
		found, err := plugincheck.Locate(path)
		if err != nil {
			return 0, err
		}
		dirs = append(dirs, found...)
	}
	files, err := treeFiles(*tree)
	if err != nil {
		return 0, err
	}
	report, err := plugincheck.Check(ctx, plugincheck.Input{Dirs: dirs, Tree: files, Reserved: phases.ReservedNames()})
	if err != nil {
		return 0, err
	}
	tell(out, report, *brief)
	fmt.Fprintf(out, "plugin-check: plugins: %d, findings: %d\n", len(dirs), len(report.Findings))
	return len(report.Findings), nil
}

func treeFiles(dir string) (fs.FS, error) {
	if dir != "" {
		return os.DirFS(dir), nil
	}
	tree, err := debstack.NewTree()
	if err != nil {
		return nil, err
	}
	return tree.Files(), nil
}

// tell prints the report; the reason of a rule stands where it is first needed.
func tell(out io.Writer, report *plugincheck.Report, brief bool) {
	told := map[string]bool{}
	for _, finding := range report.Findings {
		fmt.Fprintln(out, finding)
		rule, _ := plugincheck.RuleByName(finding.Rule)
		if brief || told[rule.Name] {
			continue
		}
		told[rule.Name] = true
		fmt.Fprintf(out, "    why: %s\n    do:  %s\n", rule.Why, rule.Do)
	}
	for _, path := range report.Unfollowed {
		fmt.Fprintf(out, "note: %s sources a file that is not here: its commands and variables were not judged\n", path)
	}
}

func listRules(out io.Writer) {
	for _, rule := range plugincheck.Rules() {
		fmt.Fprintf(out, "%s\n    why: %s\n    do:  %s\n", rule.Name, rule.Why, rule.Do)
	}
}
