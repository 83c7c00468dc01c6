package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/framework/tree"
	"grenade/framework/tree/debstack"
)

// Dispose removes what this run, or one that was killed, has made: the container; or on this machine what unstack.sh
// stops, then whatever the run has started and is left, and the directories. What DevStack has installed on this machine stays
// there: packages, users, databases, /etc. An external DevStack is left as it is.
func (c *Cloud) Dispose(ctx context.Context) error {
	what, err := DisposeLeftovers(ctx, c.options.Config)
	if err != nil {
		return tree.Environment(err)
	}
	if c.node == nil && what != "" {
		c.options.Note("removed what an earlier run left: " + what)
	}
	c.node = nil
	if c.root == nil {
		return nil
	}
	root := c.root
	c.root = nil
	return root.Release()
}

// DisposeLeftovers removes what the run in SAVE_DIR has made on this machine, whatever became of it, and says what that was;
// "" is nothing. It may be called several times. The error names what could not be stopped; the directories then stay, so that the next
// call can try again.
func DisposeLeftovers(ctx context.Context, settings *config.Config) (what string, err error) {
	what, err = node.DisposeLeftovers(ctx, debstack.NodeDir(settings))
	if err != nil {
		return what, err
	}
	saved, err := readState(settings.SaveDir)
	if errors.Is(err, fs.ErrNotExist) {
		return what, nil
	}
	if err != nil || saved.Node != string(config.Local) || saved.External {
		return what, err
	}
	found, err := saved.removeLocal(ctx, settings)
	if what != "" {
		found = append([]string{what}, found...)
	}
	return strings.Join(found, ", "), err
}

// stopLimit bounds one unstack.sh.
const stopLimit = 10 * time.Minute

// removeLocal removes a cloud from this machine.
func (s state) removeLocal(ctx context.Context, settings *config.Config) (found []string, err error) {
	local := node.NewLocal(s.Run, "")
	own := *settings
	own.StackUser = s.User
	if err := s.unstack(ctx, local, &own); err != nil {
		return nil, err
	}
	killed, err := exec.KillCookie(ctx, node.RunVariable, s.Run, 2*time.Second)
	if err != nil {
		return nil, fmt.Errorf("end what run %s has started: %w", s.Run, err)
	}
	if len(killed) > 0 {
		found = append(found, fmt.Sprintf("%d processes of run %s", len(killed), s.Run))
	}
	text, err := script("remove.sh")
	if err != nil {
		return found, err
	}
	out, err := local.Output(ctx, node.Command{Command: exec.Command{
		Args: append([]string{"bash", "-s", "--"}, s.Made...), Stdin: text, Env: environ(&own), Timeout: stopLimit,
	}})
	for line := range strings.Lines(string(out)) {
		found = append(found, strings.TrimSpace(line))
	}
	if err != nil {
		return found, fmt.Errorf("remove what DevStack has made: %w", err)
	}
	if err := os.Remove(filepath.Join(settings.SaveDir, stateFile)); err != nil {
		return found, fmt.Errorf("state of the cloud: %w", err)
	}
	return found, nil
}

// unstack runs unstack.sh of the base tree and, if services may run from it, of the target's, as far as they are there.
func (s state) unstack(ctx context.Context, local *node.Local, settings *config.Config) error {
	var failures []error
	for _, side := range sides() {
		dir := treeDir(settings, side)
		_, err := os.Stat(filepath.Join(dir, "unstack.sh"))
		if err != nil || !s.Stacked || side == config.Target && !s.Prepared {
			continue
		}
		log := filepath.Join(settings.SaveDir, "unstack-"+string(side)+".log")
		_, err = local.Run(ctx, node.Command{User: settings.StackUser, Command: exec.Command{
			Args: []string{"./unstack.sh", "-a"}, Dir: dir, Env: environ(settings), Log: log, Timeout: stopLimit,
		}})
		if err != nil {
			failures = append(failures, fmt.Errorf("%s/unstack.sh: %w", dir, err))
		}
	}
	return errors.Join(failures...)
}
