package devstack

import (
	"context"
	"fmt"

	"grenade/framework/config"
)

// Smoke runs the smoke set of the side's Tempest, which DevStack has installed and configured if it is among its services, as the stack
// user. Its results are written to report, a path that is the same in the node, as JUnit does. It takes minutes; the
// run's own limit is its limit.
func (c *Cloud) Smoke(ctx context.Context, side config.Side, report, logFile string, onLine func(string)) error {
	text, err := script("smoke.sh")
	if err != nil {
		return err
	}
	convert, err := script("to-junit.py")
	if err != nil {
		return err
	}
	command := c.command("bash", "-s", "--", releaseDir(c.options.Config, side), report, string(convert))
	command.Stdin, command.Log, command.OnLine = text, logFile, onLine
	if _, err := c.node.Run(ctx, command); err != nil {
		return fmt.Errorf("smoke set of Tempest on the %s side: %w", side, err)
	}
	return nil
}
