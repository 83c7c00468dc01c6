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

// CollectLogs copies the node's journal and its services' logs into dir, which
// may be published: secrets are hidden. (sudo, for one, writes the command
// lines that scripts give it into the journal.)
func (c *Cloud) CollectLogs(ctx context.Context, dir string) error {
	if c.node == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	journal := filepath.Join(c.options.Config.SaveDir, "journal.log")
	if err := os.RemoveAll(journal); err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	_, err := c.node.Run(ctx, node.Command{Command: exec.Command{
		Args: []string{"journalctl", "--no-pager", "--output=short-precise"}, Log: journal,
	}})
	publish := log.Publisher{Hide: c.options.Secrets.Bytes}
	err = errors.Join(err, publish.File(journal, filepath.Join(dir, "journal.log")))
	logs := filepath.Join(c.node.Upper(), "var", "log")
	for _, service := range c.known {
		for _, state := range service.State {
			err = errors.Join(err, publish.Dir(filepath.Join(logs, state), filepath.Join(dir, state)))
		}
	}
	return err
}
