package debstack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// StackUID and StackGID are the ids of the user that runs the shell contract, the same in every root. They are the
// first that Debian gives to people: no package of a fresh root has them.
const (
	StackUID = 1000
	StackGID = 1000

	stackUser        = "stack"
	defaultStackRoot = "/opt/stack"
)

// PrepareUpper writes into an overlay's upper directory, before the overlay is mounted on this root, what depends on
// the run's settings: user stack's home stackRoot (STACK_ROOT; "" is /opt/stack), and its directory. Cached roots stay
// free of settings this way.
func (r *Root) PrepareUpper(upper, stackRoot string) error {
	if stackRoot == "" {
		stackRoot = defaultStackRoot
	}
	if err := r.prepareUpper(upper, stackRoot); err != nil {
		return fmt.Errorf("prepare the node's files in %s: %w", upper, err)
	}
	return nil
}

func (r *Root) prepareUpper(upper, home string) error {
	if !filepath.IsAbs(home) || filepath.Clean(home) != home || strings.ContainsAny(home, ":\n") {
		return setting(fmt.Errorf("STACK_ROOT %q is not a clean absolute path without colons", home))
	}
	if err := r.upperDir(upper, filepath.Dir(home)); err != nil {
		return err
	}
	dir := filepath.Join(upper, home)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("stack's directory: %w", err)
	}
	if err := own(dir, 0o755, StackUID, StackGID); err != nil {
		return err
	}
	if home == defaultStackRoot {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(r.Path, "etc/passwd"))
	if err != nil {
		return fmt.Errorf("users of the root: %w", err)
	}
	changed, found := withHome(string(text), stackUser, home)
	if !found {
		return fmt.Errorf("root %s has no user %s", r.Key, stackUser)
	}
	if err := r.upperDir(upper, "/etc"); err != nil {
		return err
	}
	passwd := filepath.Join(upper, "etc/passwd")
	if err := os.WriteFile(passwd, []byte(changed), 0o644); err != nil {
		return fmt.Errorf("users of the node: %w", err)
	}
	return own(passwd, 0o644, 0, 0)
}

// upperDir makes a directory and its parents in the upper layer with owner and mode that they have in the root: what
// is in the upper layer decides.
func (r *Root) upperDir(upper, dir string) error {
	if dir != "/" {
		if err := r.upperDir(upper, filepath.Dir(dir)); err != nil {
			return err
		}
	}
	made := filepath.Join(upper, dir)
	if _, err := os.Lstat(made); err == nil && dir != "/" {
		return nil // Whoever made it has decided.
	}
	if err := os.MkdirAll(made, 0o755); err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	info, err := os.Stat(filepath.Join(r.Path, dir))
	if errors.Is(err, os.ErrNotExist) {
		return own(made, 0o755, 0, 0)
	}
	if err != nil {
		return fmt.Errorf("directory of the root: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("owner of %s in the root cannot be told", dir)
	}
	return own(made, info.Mode().Perm()|info.Mode()&os.ModeSticky, int(owner.Uid), int(owner.Gid))
}

// withHome changes a user's home directory, the sixth field of its line (passwd(5)).
func withHome(passwd, user, home string) (changed string, found bool) {
	var lines []string
	for line := range strings.Lines(passwd) {
		field := strings.Split(line, ":")
		if len(field) == 7 && field[0] == user {
			field[5], found = home, true
			line = strings.Join(field, ":")
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ""), found
}
