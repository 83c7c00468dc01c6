package debstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// buildOnce builds what is wanted unless someone else did while we waited for the right to.
func (c *Cache) buildOnce(ctx context.Context, want Want, set string, archive Archive, say say) (root *Root, err error) {
	building, err := waitLock(ctx, c.lockFile(set), func(holder string) {
		say("process %s is building this %s; waiting for it", holder, c.kind())
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, building.release()) }()

	// What a build killed between our sweep and now left behind.
	if err := c.sweepSet(ctx, set, say); err != nil {
		return nil, err
	}
	entry := filepath.Join(c.Entries(), set+shortDigest(archive.Digest))
	if _, err := os.Lstat(entry); err == nil {
		root, broken := open(ctx, entry)
		if broken == nil {
			return root, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("check the cached %s: %w", c.kind(), ctx.Err())
		}
		say("the cached %s is broken, building it anew: %v", c.kind(), broken)
	}
	if err := c.checkSpace(); err != nil {
		return nil, err
	}
	root, err = c.build(ctx, want, set, archive, say)
	if err != nil {
		return nil, err
	}
	if err := c.prune(set, root, say); err != nil {
		return nil, errors.Join(err, root.Release())
	}
	return root, nil
}

// build makes it beside its place and moves it there when it is complete. The caller holds the set's lock.
func (c *Cache) build(ctx context.Context, want Want, set string, archive Archive, say say) (root *Root, err error) {
	scratch, err := os.MkdirTemp(c.Entries(), fmt.Sprintf("%s%s%d-", buildingPrefix, set, os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("make room for a build: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeTree(scratch))
		}
	}()
	logs := filepath.Join(c.Dir, "logs")
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return nil, fmt.Errorf("make room for logs: %w", err)
	}
	order := BuildOrder{
		Suite: want.Suite, Mirror: archive.Mirror, Packages: wholeSet(want.Packages), Extra: want.Extra,
		Scratch: scratch, Root: filepath.Join(scratch, rootDir), Log: filepath.Join(logs, c.logName(set)),
	}
	started := time.Now()
	built, err := c.Builder.Build(ctx, order, func(line string) { say("%s", line) })
	if err != nil {
		return nil, err
	}
	built.Digest = want.Extra.digestWith(built.Digest)
	fingerprint, err := TakeFingerprint(ctx, order.Root)
	if err != nil {
		return nil, err
	}
	if err := writeManifest(scratch, manifest{
		Version: manifestVersion, Suite: want.Suite, Release: want.Release, Set: set, Mirror: redacted(archive.Mirror), Digest: built.Digest,
		Built: time.Now().UTC().Truncate(time.Second), Fingerprint: fingerprint, Packages: built.Packages,
	}); err != nil {
		return nil, err
	}
	// Held before it has its name, so that nobody can remove it in between.
	hold, err := tryLock(filepath.Join(scratch, holdFile), false, true)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, hold.release())
		}
	}()
	entry := filepath.Join(c.Entries(), set+shortDigest(built.Digest))
	if err := c.discard(entry); err != nil {
		return nil, err
	}
	if err := os.Rename(scratch, entry); err != nil {
		return nil, fmt.Errorf("put the new %s in its place: %w", c.kind(), err)
	}
	scratch = entry // from here on, this is what a failure removes
	if err := syncDir(c.Entries()); err != nil {
		return nil, err
	}
	root, err = load(ctx, entry)
	if err != nil {
		return nil, fmt.Errorf("right after it was built: %w", err)
	}
	root.hold, root.New = hold, true
	say("built in %s: %d packages, %s", time.Since(started).Round(time.Second), len(built.Packages), gigabytes(root.Bytes))
	return root, nil
}

// logName is the name of a build's log in the cache's directory logs: two sets of one suite may be built at a time.
func (c *Cache) logName(set string) string {
	name := strings.TrimSuffix(set, "-") + ".log"
	if c.kind() == KindRoot {
		return name
	}
	return string(c.kind()) + "-" + name
}

// checkSpace compares the free disk space with what a build needs.
func (c *Cache) checkSpace() error {
	need := c.NeedBytes
	if need == 0 {
		need = rootNeed
		if c.kind() == KindGuest {
			need = guestNeed
		}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(c.Entries(), &fs); err != nil {
		return fmt.Errorf("disk space of %s: %w", c.Entries(), err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < need {
		return fmt.Errorf("%s has %s of disk space left, a %s needs %s: make room, or move the cache (XDG_CACHE_HOME)",
			c.Entries(), gigabytes(free), c.kind(), gigabytes(need))
	}
	return nil
}
