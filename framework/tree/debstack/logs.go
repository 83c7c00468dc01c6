package debstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"grenade/framework/exec"
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
	err = errors.Join(err, c.publish(journal, filepath.Join(dir, "journal.log")))
	logs := filepath.Join(c.node.Upper(), "var", "log")
	for _, service := range c.known {
		for _, state := range service.State {
			err = errors.Join(err, c.publishDir(filepath.Join(logs, state), filepath.Join(dir, state)))
		}
	}
	return err
}

// publishDir publishes the regular files of a log directory and of those in
// it (libvirt has one for QEMU's); one that is not there is no error.
func (c *Cloud) publishDir(from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	var failures []error
	for _, entry := range entries {
		switch {
		case entry.IsDir():
			failures = append(failures, c.publishDir(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())))
		case entry.Type().IsRegular():
			failures = append(failures, c.publish(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())))
		}
	}
	return errors.Join(failures...)
}

// publish copies a log line by line, with its secrets hidden.
func (c *Cloud) publish(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	copied, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	lines, out := bufio.NewReader(source), bufio.NewWriter(copied)
	for {
		line, readErr := lines.ReadBytes('\n')
		if _, err := out.Write(c.options.Secrets.Bytes(line)); err != nil {
			return fmt.Errorf("collect logs: %w", err)
		}
		if errors.Is(readErr, io.EOF) {
			if err := out.Flush(); err != nil {
				return fmt.Errorf("collect logs: %w", err)
			}
			return nil
		}
		if readErr != nil {
			return fmt.Errorf("collect logs: %s: %w", from, readErr)
		}
	}
}
