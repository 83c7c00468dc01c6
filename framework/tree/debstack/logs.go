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
	var states []string
	for _, service := range c.known {
		states = append(states, service.State...)
	}
	return collectLogs(ctx, c.node, states, c.options.Config.SaveDir, log.Publisher{Hide: c.options.Secrets.Bytes}, dir)
}

// logged is a node whose logs are collected.
type logged interface {
	Run(ctx context.Context, command node.Command) (exec.Result, error)
	// Upper is the directory, on the host, of what has been written in the node.
	Upper() string
}

// collectLogs collects them with those of services, named as their directories below
// /var/log. What the node says is written to saveDir first, and published from there.
func collectLogs(ctx context.Context, from logged, services []string, saveDir string, publish log.Publisher, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	say := func(name string, command ...string) error {
		private := filepath.Join(saveDir, name)
		if err := os.RemoveAll(private); err != nil {
			return fmt.Errorf("collect logs: %w", err)
		}
		_, err := from.Run(ctx, node.Command{Command: exec.Command{Args: command, Log: private}})
		return errors.Join(err, publish.File(private, filepath.Join(dir, name)))
	}
	err := say("journal.log", "journalctl", "--no-pager", "--output=short-precise")
	if _, missing := os.Stat(filepath.Join(dir, "network.log")); missing != nil {
		err = errors.Join(err, say("network.log", "sh", "-c", networkState))
	}
	for _, service := range services {
		err = errors.Join(err, publish.Dir(filepath.Join(from.Upper(), "var/log", service), filepath.Join(dir, service)))
	}
	return err
}
