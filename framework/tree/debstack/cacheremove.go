package debstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// prune removes the entries of a set that the new one supersedes and nobody uses. The caller holds the set's lock.
func (c *Cache) prune(set string, keep *Root, say say) error {
	entries, err := c.entries(set)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry == keep.entry {
			continue
		}
		free, err := c.free(entry)
		if err != nil {
			return err
		}
		if !free {
			say("the superseded %s %s is still in use and stays", c.kind(), filepath.Base(entry))
			continue
		}
		say("removing the superseded %s %s", c.kind(), filepath.Base(entry))
		if err := c.discard(entry); err != nil {
			return err
		}
	}
	return nil
}

// free says whether nobody uses an entry.
func (c *Cache) free(entry string) (bool, error) {
	claim, err := c.claim(entry)
	if errors.Is(err, errLocked) {
		return false, nil
	}
	return err == nil, errors.Join(err, claim.release())
}

// claim keeps runs from starting to use an entry. It returns errLocked when one does already, or when a node that
// outlived its run has the entry as a layer; nil without an error is for half an entry, which nobody can hold.
func (c *Cache) claim(entry string) (*lock, error) {
	claim, err := tryLock(filepath.Join(entry, holdFile), true, false)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	if overlaid(entry) {
		return nil, errors.Join(errLocked, claim.release())
	}
	return claim, nil
}

// discard takes an entry's name away at once and then removes what is behind it, unless it is in use: then it stays
// under its new name until a later sweep finds it free. No entry at all is fine.
func (c *Cache) discard(entry string) (err error) {
	claim, err := c.claim(entry)
	inUse := errors.Is(err, errLocked)
	if err != nil && !inUse {
		return err
	}
	defer func() { err = errors.Join(err, claim.release()) }()
	set, _, _ := cutSet(filepath.Base(entry))
	aside, err := os.MkdirTemp(c.Entries(), removingPrefix+set)
	if err != nil {
		return fmt.Errorf("set the old %s aside: %w", c.kind(), err)
	}
	err = os.Rename(entry, filepath.Join(aside, "entry"))
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return errors.Join(err, os.Remove(aside))
	}
	if inUse {
		return nil
	}
	return removeTree(aside)
}

// Sweep removes what killed builds and removals left, and ends what they left running; a build that is in progress is
// not disturbed. It does nothing where there is no cache. Errors belong to ErrEnvironment.
func (c *Cache) Sweep(ctx context.Context) error {
	if _, err := os.Stat(c.Entries()); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := c.sweep(ctx, func(string, ...any) {}); err != nil {
		return environment(fmt.Errorf("what killed builds left in %s: %w", c.Entries(), err))
	}
	return nil
}

// sweep removes what killed builds and removals left, of every set whose lock is free.
func (c *Cache) sweep(ctx context.Context, say say) error {
	sets, err := c.leftoverSets()
	if err != nil {
		return err
	}
	for _, set := range sets {
		held, err := tryLock(c.lockFile(set), true, true)
		if errors.Is(err, errLocked) {
			continue // Its builder is alive.
		}
		if err != nil {
			return err
		}
		if err := errors.Join(held.sign(), c.sweepSet(ctx, set, say), held.release()); err != nil {
			return err
		}
	}
	return nil
}

// sweepSet does so for one set, whose lock the caller holds.
func (c *Cache) sweepSet(ctx context.Context, set string, say say) error {
	names, err := c.leftovers()
	if err != nil {
		return err
	}
	for _, name := range names {
		of, building, ok := cutSet(name)
		if !ok || of != set {
			continue
		}
		path := filepath.Join(c.Entries(), name)
		if building {
			say("removing the half-built %s that a killed build left", c.kind())
			// A killed build's mmdebstrap may still be writing there.
			if err := c.Builder.Abandon(ctx, path); err != nil {
				return err
			}
		} else if free, err := c.free(filepath.Join(path, "entry")); err != nil {
			return err
		} else if !free {
			continue
		}
		if err := removeTree(path); err != nil {
			return err
		}
	}
	return nil
}

// Clean removes everything that the cache holds, except what is in use: that is named in the error, which then
// belongs to ErrEnvironment. It returns what it removed, for people to read.
func (c *Cache) Clean(ctx context.Context) (removed []string, err error) {
	entries, err := c.entries("")
	if err != nil {
		return nil, err
	}
	var inUse []string
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return removed, fmt.Errorf("clean the cache: %w", err)
		}
		free, err := c.free(entry)
		if err != nil {
			return removed, environment(err)
		}
		if !free {
			inUse = append(inUse, filepath.Base(entry))
			continue
		}
		if err := c.discard(entry); err != nil {
			return removed, environment(err)
		}
		removed = append(removed, filepath.Base(entry))
	}
	if err := c.sweep(ctx, func(string, ...any) {}); err != nil {
		return removed, environment(err)
	}
	left, err := c.leftovers()
	if err != nil {
		return removed, environment(err)
	}
	inUse = append(inUse, left...)
	if len(inUse) > 0 {
		return removed, environment(fmt.Errorf("in use and kept in %s: %s", c.Entries(), strings.Join(inUse, ", ")))
	}
	return removed, c.removeFrame()
}

// removeFrame removes what is not an entry: lock files, logs, the emptied directories.
func (c *Cache) removeFrame() error {
	names, err := c.names()
	if err != nil {
		return environment(err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, lockPrefix) {
			continue
		}
		path := filepath.Join(c.Entries(), name)
		held, err := tryLock(path, true, true)
		if errors.Is(err, errLocked) {
			continue // Somebody has just begun to build.
		}
		if err != nil {
			return environment(err)
		}
		if err := errors.Join(os.Remove(path), held.release()); err != nil {
			return environment(err)
		}
	}
	if err := removeTree(filepath.Join(c.Dir, "logs")); err != nil {
		return environment(err)
	}
	for _, dir := range []string{c.Entries(), c.Dir} {
		err := os.Remove(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
			return environment(err)
		}
	}
	return nil
}
