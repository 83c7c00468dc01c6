package debstack

import (
	"context"
	"fmt"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
)

// Smoke configures the side's Tempest for the cloud and runs its smoke set in
// the node. Its results are written to report, a path that is the same in the
// node, as JUnit does. It takes minutes; the run's own limit is its limit.
func (c *Cloud) Smoke(ctx context.Context, side config.Side, report, logFile string, onLine func(string)) error {
	_, err := c.node.Run(ctx, node.Command{User: stackUser, Command: exec.Command{
		Args: []string{"bash", "-ec", `source ./stackrc; source lib/tempest; run_tempest_smoke "$1"`, "bash", report},
		Dir:  c.TreeDir(side), Env: c.environ(), Log: logFile, OnLine: onLine,
	}})
	if err != nil {
		return fmt.Errorf("smoke set of Tempest on the %s side: %w", side, err)
	}
	return nil
}
