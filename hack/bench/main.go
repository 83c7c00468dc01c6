// Command bench measures what this project itself costs a run: whole runs of
// plugins that do nothing but what every plugin does, on this host, without a
// cloud. It touches nothing outside a temporary directory.
//
//	bench [-sizes 1,10,100] [-thousand] [-tree DIR] [-no-dumps]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
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
	given := flags.String("sizes", "1,10,100", "how many plugins each run has")
	thousand := flags.Bool("thousand", false, "a run of 1000 plugins, too")
	tree := flags.String("tree", "framework/tree/debstack/tree", "directory with functions and lib/stack that scripts source, such as a DevStack checkout")
	noDumps := flags.Bool("no-dumps", false, "source the tree's functions in every script")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	sizes, err := numbers(*given)
	if err != nil {
		return err
	}
	if *thousand {
		sizes = append(sizes, 1000)
	}

	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "tree %s, dumps %v\n\n", *tree, !*noDumps)
	fmt.Fprintln(table, "plugins\tscripts\tsetup s\tms/plugin\trows s\tms/row\tof first\tbare ms\tratio\tsave ms\tget ms\tpeak MB\tkB/plugin\t")
	var first seen
	for _, size := range sizes {
		seen, err := measure(ctx, size, *tree, !*noDumps)
		if err != nil {
			return fmt.Errorf("%d plugins: %w", size, err)
		}
		if first.scripts == 0 {
			first = seen
			first.size = size
		}
		perRow := seen.perScript()
		fmt.Fprintf(table, "%d\t%d\t%.1f\t%s\t%.1f\t%s\t%.2f\t%s\t%.1f\t%s\t%s\t%.0f\t%s\t\n", size, seen.scripts,
			seen.setup.Seconds(), milliseconds(seen.setup/time.Duration(size)), seen.whole.Seconds(), milliseconds(perRow),
			float64(perRow)/float64(first.perScript()), milliseconds(seen.bare), float64(perRow)/float64(seen.bare),
			milliseconds(seen.save), milliseconds(seen.get), seen.peakMB, growth(first, seen, size))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	fmt.Fprintln(out, "\nsetup: configuration, plan, GRENADE_DIR, check of all scripts, settings, local.conf. ms/row: a row with its script, journal and report;"+
		"\nof first: a row against one of the first run, 1.00 or less where what it costs does not grow with their number."+
		"\nratio: against a bare bash script through the same runner. save, get: in a loop inside one bash, in the store that the run has left;"+
		"\na tenth of the keys is saved before. peak: of this process; kB/plugin: what it has grown by since the first run.")
	return nil
}

func numbers(text string) ([]int, error) {
	var all []int
	for _, field := range strings.Split(text, ",") {
		number, err := strconv.Atoi(field)
		if err != nil || number < 1 {
			return nil, fmt.Errorf("usage: -sizes: %q is no number of plugins", field)
		}
		all = append(all, number)
	}
	return all, nil
}

// growth is what this process has taken more than for the first run, for each plugin
// that there is more.
func growth(first, now seen, size int) string {
	if size <= first.size {
		return "-"
	}
	return fmt.Sprintf("%.0f", (now.peakMB-first.peakMB)*1024/float64(size-first.size))
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000) }
