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

// networkState shows what guests depend on and no log tells; after destroy there is nothing left of it to be looked at. A
// command that is not there, or hangs, says so in its place.
const networkState = `for command in "ip -oneline link" "ip -all netns exec ip -brief address" "ovs-vsctl show" \
    "ovs-ofctl -O OpenFlow13 dump-ports-desc br-int" "ovs-ofctl -O OpenFlow13 dump-flows br-int" "ovs-appctl fdb/show br-int"; do
    printf '== %s\n' "$command"
    timeout 5 $command 2>&1 || printf 'exit code %s\n' "$?"
done`

// CollectLogs copies the node's journal, the state of its network, and its services' logs into dir, which
// may be published: secrets are hidden. (sudo, for one, writes the command
// lines that scripts give it into the journal.)
func (c *Cloud) CollectLogs(ctx context.Context, dir string) error {
	if c.node == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	publish := log.Publisher{Hide: c.options.Secrets.Bytes}
	var err error
	for _, said := range []struct {
		name    string
		command []string
	}{
		{"journal.log", []string{"journalctl", "--no-pager", "--output=short-precise"}},
		{"network.log", []string{"sh", "-c", networkState}},
	} {
		private := filepath.Join(c.options.Config.SaveDir, said.name)
		if err := os.RemoveAll(private); err != nil {
			return fmt.Errorf("collect logs: %w", err)
		}
		_, runErr := c.node.Run(ctx, node.Command{Command: exec.Command{Args: said.command, Log: private}})
		err = errors.Join(err, runErr, publish.File(private, filepath.Join(dir, said.name)))
	}
	logs := filepath.Join(c.node.Upper(), "var", "log")
	for _, service := range c.known {
		for _, state := range service.State {
			err = errors.Join(err, publish.Dir(filepath.Join(logs, state), filepath.Join(dir, state)))
		}
	}
	return err
}
