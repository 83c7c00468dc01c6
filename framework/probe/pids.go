package probe

import (
	"context"
	"fmt"
	"strings"

	"grenade/framework/node"
)

// ByPID looks at the processes with these numbers, whatever unit they belong to. One that does not run is not in the
// answer; one that does need not be the one that had the number before: compare StartTime. Unit is empty.
func ByPID(ctx context.Context, n node.Node, pids []int) ([]Process, error) {
	if len(pids) == 0 {
		return nil, nil
	}
	numbers := strings.Trim(fmt.Sprint(pids), "[]")
	lines, err := ask(ctx, n, "pids.sh", "asked=("+numbers+")\n")
	if err != nil {
		return nil, fmt.Errorf("look at the processes %s: %w", numbers, err)
	}
	var found []Process
	for _, fields := range lines {
		p, err := parseProcess(fields)
		if err != nil {
			return nil, fmt.Errorf("look at the processes %s: %w", numbers, err)
		}
		p.Unit = ""
		found = append(found, p)
	}
	return found, nil
}
