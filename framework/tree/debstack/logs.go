package debstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"grenade/framework/exec"
	"grenade/framework/log"
	"grenade/framework/node"
)

// networkState shows what guests depend on and no log tells. A command that is not there, or hangs, says so in its place.
const networkState = `for command in "ip -oneline link" "ip -all netns exec ip -brief address" "ovs-vsctl show" \
    "ovs-ofctl -O OpenFlow13 dump-ports-desc br-int" "ovs-ofctl -O OpenFlow13 dump-flows br-int" "ovs-appctl fdb/show br-int"; do
    printf '== %s\n' "$command"
    timeout 5 $command 2>&1 || printf 'exit code %s\n' "$?"
done`

// CollectLogs copies the node's journal, the state of its network, and its services' logs into dir, which
// may be published: secrets are hidden. (sudo, for one, writes the command
// lines that scripts give it into the journal.) Called again, as it is when a run has failed and is over, it leaves the
// network's first state there: of what failed, destroy leaves nothing to be seen.
func (c *Cloud) CollectLogs(ctx context.Context, dir string) error {
	if c.node == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	publish := log.Publisher{Hide: c.options.Secrets.Bytes}
	say := func(name string, command ...string) error {
		private := filepath.Join(c.options.Config.SaveDir, name)
		if err := os.RemoveAll(private); err != nil {
			return fmt.Errorf("collect logs: %w", err)
		}
		_, err := c.node.Run(ctx, node.Command{Command: exec.Command{Args: command, Log: private}})
		return errors.Join(err, publish.File(private, filepath.Join(dir, name)))
	}
	err := say("journal.log", "journalctl", "--no-pager", "--output=short-precise")
	if _, missing := os.Stat(filepath.Join(dir, "network.log")); missing != nil {
		err = errors.Join(err, say("network.log", "sh", "-c", networkState))
	}
	logs := filepath.Join(c.node.Upper(), "var", "log")
	for _, service := range c.known {
		for _, state := range service.State {
			err = errors.Join(err, publish.Dir(filepath.Join(logs, state), filepath.Join(dir, state)))
		}
	}
	return err
}
