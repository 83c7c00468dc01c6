// Command bench measures what this project itself costs a run: whole runs of
// plugins that do nothing but what every plugin does, on this host, without a
// cloud. It touches nothing outside a temporary directory.
//
//	bench [-thousand] [-tree DIR] [-no-dumps]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	thousand := flags.Bool("thousand", false, "a run of 1000 plugins, too")
	tree := flags.String("tree", "framework/tree/debstack/tree", "directory with functions and lib/stack that scripts source, such as a DevStack checkout")
	noDumps := flags.Bool("no-dumps", false, "source the tree's functions in every script")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	sizes := []int{1, 10, 100}
	if *thousand {
		sizes = append(sizes, 1000)
	}

	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "tree %s, dumps %v\n\n", *tree, !*noDumps)
	fmt.Fprintln(table, "plugins\tscripts\tseconds\tms/script\tbare ms\tratio\tms/script of 1 plugin\tsave ms\tget ms\tpeak MB\t")
	first := time.Duration(0)
	for _, size := range sizes {
		seen, err := measure(ctx, size, *tree, !*noDumps)
		if err != nil {
			return fmt.Errorf("%d plugins: %w", size, err)
		}
		if first == 0 {
			first = seen.perScript()
		}
		fmt.Fprintf(table, "%d\t%d\t%.1f\t%s\t%s\t%.1f\t%.2f\t%s\t%s\t%.0f\t\n", size, seen.scripts, seen.whole.Seconds(),
			milliseconds(seen.perScript()), milliseconds(seen.bare), float64(seen.perScript())/float64(seen.bare),
			float64(seen.perScript())/float64(first), milliseconds(seen.save), milliseconds(seen.get), seen.peakMB)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	fmt.Fprintln(out, "\nratio: a script of the run against a bare bash script through the same runner."+
		"\nsave, get: in a loop inside one bash, in the store that the run has left; a tenth of the keys is saved before.")
	return nil
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000) }
