package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"grenade/framework/exec"
)

const (
	// killLimit bounds the end of a node; it takes a fraction of a second.
	killLimit = 30 * time.Second
	// supervisorLimit is how long systemd-nspawn may take to tidy up once its container is dead.
	supervisorLimit = 2 * time.Second
	// machineDirs is where systemd-nspawn keeps, for each container, a directory named like it.
	machineDirs = "/run/systemd/nspawn"
)

// Kill ends the node without shutting it down, and removes its link and its control group; the directory
// stays, with all that was written (Upper) and the console. The error names what could not be removed. It may
// be called several times.
func (n *Nspawn) Kill(ctx context.Context) error { return kill(ctx, n.dir, n.state) }

// Dispose is Kill, and the removal of the node's directory. It may be called several times.
func (n *Nspawn) Dispose(ctx context.Context) error {
	if err := n.Kill(ctx); err != nil {
		return fmt.Errorf("dispose of node %s: %w", n.state.Machine, err)
	}
	return removeDir(n.dir)
}

// DisposeLeftovers removes what a run that was killed left of the node in dir: its processes (those in
// node.json if their start time fits too, and all that carry the directory's or the run's cookie in their
// environment), its link, its control groups, and the directory. What tells what was found; "" is nothing. It
// may be called several times, and by another process than the one that started the node, but not by one that
// still uses that run.
func DisposeLeftovers(ctx context.Context, dir string) (what string, err error) {
	if err := looksLikeOurs(dir); err != nil {
		return "", err
	}
	var found []string
	s, err := readState(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// Half of a file cannot be (state.write), but somebody may have touched it; the cookies remain.
		found = append(found, err.Error())
	}
	if s.Machine != "" {
		state := "dead"
		if s.alive() {
			state = fmt.Sprintf("running, first process %d", s.Leader.PID)
		}
		found = append(found, fmt.Sprintf("node %s of run %s (%s)", s.Machine, s.Run, state))
	}
	err = kill(ctx, dir, s)
	if s.Run != "" {
		killed, cookieErr := exec.KillCookie(ctx, RunVariable, s.Run, 0)
		if len(killed) > 0 {
			found = append(found, fmt.Sprintf("%d processes of run %s", len(killed), s.Run))
		}
		err = errors.Join(err, cookieErr)
	}
	if err != nil {
		return strings.Join(found, ", "), fmt.Errorf("dispose of what is left in %s: %w", dir, err)
	}
	if _, statErr := os.Lstat(dir); statErr == nil {
		found = append(found, "directory "+dir)
	}
	return strings.Join(found, ", "), removeDir(dir)
}

// looksLikeOurs refuses to dispose of a directory that no node was ever in: a wrong setting must not cost
// anybody their files.
func looksLikeOurs(dir string) error {
	if !filepath.IsAbs(dir) || dir != filepath.Clean(dir) {
		return fmt.Errorf("dispose of a node in %q: want a clean absolute path", dir)
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("dispose of a node: %w", err)
	}
	for _, entry := range entries {
		if entry.Name() == stateFile || entry.Name() == "upper" {
			return nil
		}
	}
	return fmt.Errorf("dispose of a node in %s: neither %s nor upper/ is there: not the directory of a node", dir, stateFile)
}

// kill ends what s and the directory's cookie name, and looks that nothing of it is left.
func kill(ctx context.Context, dir string, s state) error {
	ctx, cancel := context.WithTimeoutCause(ctx, killLimit, fmt.Errorf("not done within %s", killLimit))
	defer cancel()
	var errs []error
	check := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	processes := s.processes()
	// The first process takes all others of its process namespace with it; systemd-nspawn then ends by
	// itself, and tidies up. That is why it is not killed at once as well.
	if s.Boot == bootID() && s.Leader != nil {
		check(s.Leader.Signal(unix.SIGKILL))
	}
	if s.Boot == bootID() && s.Supervisor != nil {
		patience, cancel := context.WithTimeout(ctx, supervisorLimit)
		if s.Leader == nil || s.Supervisor.Wait(patience) != nil {
			check(s.Supervisor.Signal(unix.SIGKILL))
		}
		cancel()
	}
	// Whoever was started between two writes of node.json carries the cookie.
	_, err := exec.KillCookie(ctx, DirVariable, dir, 0)
	check(err)
	for _, p := range processes {
		check(p.Wait(ctx))
	}
	check(removeLink(ctx, s.Link))
	check(removeCgroups(ctx, s.Cgroups))
	if s.Machine != "" {
		for _, place := range []string{"propagate", "unix-export"} {
			// Empty directories of a systemd-nspawn that was killed; it has removed them otherwise.
			if err := os.Remove(filepath.Join(machineDirs, place, s.Machine)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				check(err)
			}
		}
	}
	if s.Link != "" && linkExists(s.Link) {
		check(fmt.Errorf("the link %s is still there", s.Link))
	}
	return errors.Join(errs...)
}

// removeDir removes a node's directory. The marker node.json goes last: whoever is killed in the middle
// leaves something that the next one recognises.
func removeDir(dir string) error {
	if err := unmountUnder(dir); err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	for _, entry := range entries {
		if entry.Name() == stateFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return fmt.Errorf("remove %s: %w", dir, err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return nil
}
