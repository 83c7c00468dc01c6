// Command leftovers tells what a run left on the host: mounts, links, routes,
// processes and control groups that were not there before.
//
//	leftovers take FILE       writes what is there now
//	leftovers compare FILE    lists what has come since; exit code 1 when anything has
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"grenade/hack/internal/harness"
)

func main() {
	left, err := run(os.Args[1:], os.Stdout)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "leftovers:", err)
		os.Exit(harness.ExitUsage)
	case left > 0:
		os.Exit(harness.ExitFailed)
	}
}

// run returns how many things are left.
func run(args []string, out io.Writer) (int, error) {
	if len(args) != 2 {
		return 0, errors.New("usage: leftovers take|compare FILE")
	}
	now, err := harness.TakeSnapshot()
	if err != nil {
		return 0, err
	}
	switch args[0] {
	case "take":
		return 0, harness.SaveSnapshot(args[1], now)
	case "compare":
		before, err := harness.LoadSnapshot(args[1])
		if err != nil {
			return 0, err
		}
		left := now.LeftSince(before)
		for _, line := range left {
			fmt.Fprintln(out, "left behind:", line)
		}
		if len(left) == 0 {
			fmt.Fprintln(out, "nothing is left on the host")
		}
		return len(left), nil
	default:
		return 0, fmt.Errorf("no command %q: take or compare", args[0])
	}
}
