package devstack

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

// CollectLogs copies the journal of DevStack's units, the logs of both trees, and what they were configured to be, into dir, which
// may be published: secrets are hidden. What is not there is left out.
func (c *Cloud) CollectLogs(ctx context.Context, dir string) error {
	if c.node == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	settings := c.options.Config
	publish := log.Publisher{Hide: c.options.Secrets.Bytes}
	journal := filepath.Join(settings.SaveDir, "journal.log")
	failures := []error{os.RemoveAll(journal)}
	c.mu.Lock()
	blind := c.saved.Blind
	c.mu.Unlock()
	if blind == "" {
		// Where there is no journal, or no such unit in it, the file says so.
		_, _ = c.node.Run(ctx, node.Command{Command: exec.Command{
			Args: []string{"journalctl", "--no-pager", "--output=short-precise", "--unit=devstack@*"}, Log: journal,
		}})
		failures = append(failures, publish.File(journal, filepath.Join(dir, "journal.log")))
	}
	top := ""
	if container, is := c.node.(*node.Nspawn); is {
		top = container.Upper()
	}
	failures = append(failures, publish.Dir(filepath.Join(top, settings.StackRoot, "logs"), filepath.Join(dir, "logs")))
	for _, side := range sides() {
		own := filepath.Join(dir, string(side))
		failures = append(failures, publish.Dir(filepath.Join(top, releaseDir(settings, side), "logs"), filepath.Join(own, "logs")))
		failures = append(failures, c.publishConfig(publish, filepath.Join(top, c.TreeDir(side)), own))
	}
	return errors.Join(failures...)
}

// publishConfig publishes what a tree was told, and what it made of it.
func (c *Cloud) publishConfig(publish log.Publisher, treeDir, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	var failures []error
	for _, name := range []string{"local.conf", "localrc", ".localrc.auto", ".stackenv"} {
		if _, err := os.Stat(filepath.Join(treeDir, name)); err == nil {
			failures = append(failures, publish.File(filepath.Join(treeDir, name), filepath.Join(to, name)))
		}
	}
	return errors.Join(failures...)
}
