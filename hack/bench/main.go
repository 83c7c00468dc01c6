// Command bench measures what this project itself costs a run: whole runs of
// plugins that do nothing but what every plugin does, on this host, without a
// cloud; and what upstream's own shell costs the same plugins, if a checkout of it is
// given. It touches nothing outside a temporary directory.
//
//	bench [-sizes 1,10,100] [-thousand] [-tree DIR] [-no-dumps] [-grenade DIR [-limit 10m]]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
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
	grenade := flags.String("grenade", "", "checkout of upstream's Grenade, whose shell runs the same plugins; -tree is then a DevStack checkout")
	limit := flags.Duration("limit", 10*time.Minute, "how long a run of upstream's may take: larger ones are not made then")
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
	fmt.Fprintf(out, "%s, %d processors; tree %s, dumps %v\n\n", time.Now().Format(time.DateOnly), runtime.NumCPU(), *tree, !*noDumps)
	var all []seen
	for _, size := range sizes {
		var one seen
		err := withSite(size, *tree, !*noDumps, func(s *site) (err error) {
			one, err = s.measure(ctx, size)
			return err
		})
		if err != nil {
			return fmt.Errorf("%d plugins: %w", size, err)
		}
		one.size = size
		all = append(all, one)
	}
	if err := tellOurs(out, all); err != nil {
		return err
	}
	if *grenade == "" {
		return nil
	}
	var theirs []seenUpstream
	for _, size := range sizes {
		var one seenUpstream
		err := withSite(size, *tree, true, func(s *site) (err error) {
			one, err = s.upstream(ctx, *grenade, size, *limit)
			return err
		})
		if errors.Is(err, errTooLong) {
			break
		}
		if err != nil {
			return fmt.Errorf("%d plugins, upstream: %w", size, err)
		}
		theirs = append(theirs, one)
	}
	return tellBoth(out, all, theirs, *limit)
}

// tellOurs prints what our runs have shown.
func tellOurs(out io.Writer, all []seen) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "plugins\tscripts\tsetup s\tms/plugin\trows s\tms/row\tcpu ms\tof first\tothers\tbare ms\tratio\treport s\tsave ms\tget ms\tpeak MB\tkB/plugin\t")
	first := all[0]
	for _, seen := range all {
		fmt.Fprintf(table, "%d\t%d\t%.1f\t%s\t%.1f\t%s\t%s\t%.2f\t%.1f\t%s\t%.1f\t%.1f\t%s\t%s\t%.0f\t%s\t\n", seen.size, seen.scripts,
			seen.setup.Seconds(), milliseconds(seen.setup/time.Duration(seen.size)), seen.rows.wall.Seconds(), milliseconds(seen.perRow()), milliseconds(seen.cpuPerRow()),
			float64(seen.cpuPerRow())/float64(first.cpuPerRow()), seen.rows.others, milliseconds(seen.bare), float64(seen.perRow())/float64(seen.bare),
			seen.report.Seconds(), milliseconds(seen.save), milliseconds(seen.get), seen.peakMB, growth(first, seen))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	fmt.Fprintln(out, "\nsetup: configuration, plan, GRENADE_DIR, check of all scripts, settings, local.conf. ms/row: a row with its script, journal and report;"+
		"\ncpu: its time of processors, which a busy machine changes little; of first: that against a row of the first run, 1.00 or less where what"+
		"\na row costs does not grow with their number. others: processors that everybody else has kept busy meanwhile."+
		"\nratio: against a bare bash script through the same runner. report: its files, when the run is over. save, get: in a loop inside one bash, in the store that the run has left;"+
		"\na tenth of the keys is saved before. peak: of this process; kB/plugin: what it has grown by since the first run.")
	return nil
}

// tellBoth prints ours beside upstream's, whose larger runs were not made.
func tellBoth(out io.Writer, ours []seen, theirs []seenUpstream, limit time.Duration) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out)
	fmt.Fprintln(table, "plugins\tours s\tupstream s\tratio\tours ms/row\tupstream ms/row\tratio\tours cpu ms\tupstream cpu ms\tratio\tothers\t")
	for i, seen := range ours {
		total := seen.setup + seen.rows.wall + seen.report
		if i >= len(theirs) {
			fmt.Fprintf(table, "%d\t%.1f\tnot made\t\t%s\t\t\t%s\t\t\t%.1f\t\n", seen.size, total.Seconds(), milliseconds(seen.perRow()), milliseconds(seen.cpuPerRow()), seen.rows.others)
			continue
		}
		upstream, scripts := theirs[i], time.Duration(seen.scripts)
		fmt.Fprintf(table, "%d\t%.1f\t%.1f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f, %.1f\t\n", seen.size, total.Seconds(), upstream.whole.wall.Seconds(), fraction(total, upstream.whole.wall),
			milliseconds(seen.perRow()), milliseconds(upstream.rows/scripts), fraction(seen.rows.wall, upstream.rows),
			milliseconds(seen.cpuPerRow()), milliseconds(upstream.whole.cpu/scripts), fraction(seen.rows.cpu, upstream.whole.cpu), seen.rows.others, upstream.whole.others)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	fmt.Fprintln(out, "\ns: setup, rows and report; of upstream: its settings and scripts. ms/row: of the scripts of all phases alone; cpu: upstream's has its settings in it."+
		"\nratio: ours to upstream's. others: during our rows, during upstream's run. Upstream runs one script after another; of ours, those of a phase"+
		"\nthat only looks run side by side.")
	if len(theirs) < len(ours) {
		fmt.Fprintf(out, "not made: upstream has %d plugins not done after %s.\n", ours[len(theirs)].size, limit)
	}
	return nil
}

// fraction is the one as a part of the other: 1/12.
func fraction(one, other time.Duration) string {
	return fmt.Sprintf("1/%.1f", float64(other)/float64(one))
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
func growth(first, now seen) string {
	if now.size <= first.size {
		return "-"
	}
	return fmt.Sprintf("%.0f", (now.peakMB-first.peakMB)*1024/float64(now.size-first.size))
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000) }
