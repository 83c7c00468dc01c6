package debstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Cache keeps root file systems across runs, one directory per root:
//
//	<Dir>/roots/<suite>-<package set>-<archive digest>/{root/,manifest.json,in-use}
//	<Dir>/roots/.building-<suite>-<package set>-<pid>-…/   a build in progress, or what a killed one left
//	<Dir>/roots/.removing-…                                an entry on its way out
//	<Dir>/roots/.lock-<suite>-<package set>                held by who builds; holds its pid
//	<Dir>/logs/<suite>.log                                 the last build's whole output
//
// The package set is a hash of everything that decides what a root of a suite holds: the packages, the builder's
// recipe, the architecture. Several processes may use one cache at the same time.
type Cache struct {
	// Dir is the cache's directory, made when needed. It must allow devices and set-uid programs.
	Dir string
	// Archives tells the current state of a suite; usually a *Mirror.
	Archives Archives
	// Builder makes a root; usually a *Mmdebstrap.
	Builder Builder
	// NeedBytes is the disk space that must be free before a build starts; default 3 GB.
	NeedBytes int64
}

// Archives tells the current state of a suite. An error means that nobody knows it now.
type Archives interface {
	Archive(ctx context.Context, suite string) (Archive, error)
}

// Builder makes root file systems.
type Builder interface {
	// Recipe is a text that changes when the same packages would make a different root.
	Recipe() string
	// Build makes a root in order.Root, which does not exist yet, and returns the digest of the archive state that it
	// really installed from: the archive may have moved since it was asked. It may use order.Scratch for its own
	// files, writes its whole output to order.Log, and calls progress while it works. What a failed build leaves is
	// for the caller to remove; nothing of it may run on.
	Build(ctx context.Context, order BuildOrder, progress func(string)) (digest string, err error)
	// Abandon ends everything that a killed build with this scratch directory left running.
	Abandon(ctx context.Context, scratch string) error
}

// BuildOrder is one root to be built.
type BuildOrder struct {
	Suite    string
	Mirror   string
	Packages []string // sorted
	Scratch  string   // an existing, private directory
	Root     string   // below Scratch
	Log      string
}

const (
	defaultNeed = 3_000_000_000

	// progressInterval is the longest silence that progress callbacks are allowed.
	progressInterval = 3 * time.Second

	buildingPrefix = ".building-"
	removingPrefix = ".removing-"
	lockPrefix     = ".lock-"
)

// Roots is the directory that holds the entries; a node binds it to see its lower layers.
func (c *Cache) Roots() string { return filepath.Join(c.Dir, "roots") }

// Ensure returns a root that holds what is wanted, held for use: the caller releases it.
//
// A cached root is used when it is complete and the archive has not moved since. Else one is built, in minutes, and
// replaces those of the same suite and package set that nobody holds. If the archive does not answer, the newest
// cached root of that set is used and says so (Offline, Age, Why); without one, the archive's error is returned.
// What killed builds left is removed. progress gets a line at least every few seconds while there is work or waiting.
//
// Errors belong to ErrEnvironment, except when ctx ended.
func (c *Cache) Ensure(ctx context.Context, want Want, progress func(string)) (*Root, error) {
	if progress == nil {
		progress = func(string) {}
	}
	say := func(format string, args ...any) { progress(want.Suite + ": " + fmt.Sprintf(format, args...)) }
	root, err := c.ensure(ctx, want, say)
	if err != nil {
		err = fmt.Errorf("root of %s (%s): %w", want.Suite, want.Release, err)
		if ctx.Err() == nil && !errors.Is(err, ErrSetting) {
			err = environment(err)
		}
		return nil, err
	}
	return root, nil
}

type say func(format string, args ...any)

func (c *Cache) ensure(ctx context.Context, want Want, say say) (*Root, error) {
	if err := os.MkdirAll(c.Roots(), 0o700); err != nil {
		return nil, fmt.Errorf("make the cache: %w", err)
	}
	if err := c.sweep(ctx, say); err != nil {
		return nil, err
	}
	set := setPrefix(want.Suite, c.setHash(want.Packages))

	// The archive answers over the network while the disk reads the newest entry: a warm start pays for one of them.
	type asked struct {
		archive Archive
		err     error
	}
	answer := make(chan asked, 1)
	go func() {
		archive, err := c.Archives.Archive(ctx, want.Suite)
		answer <- asked{archive, err}
	}()
	newest, broken := c.openNewest(ctx, set)
	got := <-answer
	if err := ctx.Err(); err != nil {
		if newest != nil {
			err = errors.Join(err, newest.Release())
		}
		return nil, err
	}

	if got.err != nil {
		if newest == nil {
			return nil, withReason(got.err, broken)
		}
		newest.Offline, newest.Why = true, got.err
		say("the archive cannot be asked (%v); using the cached root, built %s ago", got.err, roundAge(newest.Age))
		return newest, nil
	}
	if newest != nil && newest.Digest == got.archive.Digest {
		return newest, nil
	}
	if newest == nil {
		say("no usable root in the cache; one will be built")
	} else {
		say("the archive has moved since the cached root was built, %s ago; a new one will be built", roundAge(newest.Age))
		if err := newest.Release(); err != nil {
			return nil, err
		}
	}
	return c.buildOnce(ctx, want, set, got.archive, say)
}

func withReason(err, broken error) error {
	if broken == nil {
		return fmt.Errorf("%w; and the cache holds none", err)
	}
	return fmt.Errorf("%w; and the cache holds a broken one only: %w", err, broken)
}

// openNewest opens the newest complete entry of a set. If there is none, it may say why one that is there is not
// complete.
func (c *Cache) openNewest(ctx context.Context, set string) (newest *Root, broken error) {
	entries, err := c.entries(set)
	if err != nil {
		return nil, err
	}
	type dated struct {
		entry string
		built time.Time
	}
	var byAge []dated
	for _, entry := range entries {
		m, err := readManifest(entry)
		if err != nil {
			broken = err
			continue
		}
		byAge = append(byAge, dated{entry, m.Built})
	}
	slices.SortFunc(byAge, func(a, b dated) int { return b.built.Compare(a.built) })
	for _, candidate := range byAge {
		root, err := open(ctx, candidate.entry)
		if err == nil {
			return root, nil
		}
		broken = err
	}
	return nil, broken
}

// open holds an entry and checks it; an error says why it is broken.
func open(ctx context.Context, entry string) (*Root, error) {
	hold, err := tryLock(filepath.Join(entry, holdFile), false, false)
	if err != nil {
		return nil, fmt.Errorf("it cannot be held: %w", err)
	}
	root, err := load(ctx, entry)
	if err != nil {
		return nil, errors.Join(err, hold.release())
	}
	root.hold = hold
	return root, nil
}

func load(ctx context.Context, entry string) (*Root, error) {
	m, err := readManifest(entry)
	if err != nil {
		return nil, err
	}
	if err := m.check(ctx, entry); err != nil {
		return nil, err
	}
	return &Root{
		Path: filepath.Join(entry, rootDir), Key: filepath.Base(entry), OpenStack: m.Release, Suite: m.Suite, Digest: m.Digest,
		Built: m.Built, Packages: m.Packages, Bytes: m.Fingerprint.Bytes, Age: time.Since(m.Built), entry: entry,
	}, nil
}

// buildOnce builds the root unless someone else did while we waited for the right to.
func (c *Cache) buildOnce(ctx context.Context, want Want, set string, archive Archive, say say) (root *Root, err error) {
	building, err := waitLock(ctx, c.lockFile(set), func(holder string) {
		say("process %s is building this root; waiting for it", holder)
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, building.release()) }()

	// What a build killed between our sweep and now left behind.
	if err := c.sweepSet(ctx, set, say); err != nil {
		return nil, err
	}
	entry := filepath.Join(c.Roots(), set+shortDigest(archive.Digest))
	if _, err := os.Lstat(entry); err == nil {
		root, broken := open(ctx, entry)
		if broken == nil {
			return root, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("check the cached root: %w", ctx.Err())
		}
		say("the cached root is broken, building it anew: %v", broken)
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

// build makes a root beside its place and moves it there when it is complete. The caller holds the set's lock.
func (c *Cache) build(ctx context.Context, want Want, set string, archive Archive, say say) (root *Root, err error) {
	scratch, err := os.MkdirTemp(c.Roots(), fmt.Sprintf("%s%s%d-", buildingPrefix, set, os.Getpid()))
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
		Suite: want.Suite, Mirror: archive.Mirror, Packages: wholeSet(want.Packages),
		Scratch: scratch, Root: filepath.Join(scratch, rootDir), Log: filepath.Join(logs, want.Suite+".log"),
	}
	started := time.Now()
	digest, err := c.Builder.Build(ctx, order, func(line string) { say("%s", line) })
	if err != nil {
		return nil, err
	}
	packages, err := installedPackages(order.Root)
	if err != nil {
		return nil, err
	}
	fingerprint, err := TakeFingerprint(ctx, order.Root)
	if err != nil {
		return nil, err
	}
	if err := writeManifest(scratch, manifest{
		Version: manifestVersion, Suite: want.Suite, Release: want.Release, Set: set, Mirror: redacted(archive.Mirror), Digest: digest,
		Built: time.Now().UTC().Truncate(time.Second), Fingerprint: fingerprint, Packages: packages,
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
	entry := filepath.Join(c.Roots(), set+shortDigest(digest))
	if err := c.discard(entry); err != nil {
		return nil, err
	}
	if err := os.Rename(scratch, entry); err != nil {
		return nil, fmt.Errorf("put the new root in its place: %w", err)
	}
	scratch = entry // from here on, this is what a failure removes
	if err := syncDir(c.Roots()); err != nil {
		return nil, err
	}
	root, err = load(ctx, entry)
	if err != nil {
		return nil, fmt.Errorf("right after it was built: %w", err)
	}
	root.hold, root.New = hold, true
	say("built in %s: %d packages, %s", time.Since(started).Round(time.Second), len(packages), gigabytes(root.Bytes))
	return root, nil
}

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
			say("the superseded root %s is still in use and stays", filepath.Base(entry))
			continue
		}
		say("removing the superseded root %s", filepath.Base(entry))
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
	aside, err := os.MkdirTemp(c.Roots(), removingPrefix+set)
	if err != nil {
		return fmt.Errorf("set the old root aside: %w", err)
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
		path := filepath.Join(c.Roots(), name)
		if building {
			say("removing the half-built root that a killed build left")
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
		return removed, environment(fmt.Errorf("in use and kept in %s: %s", c.Roots(), strings.Join(inUse, ", ")))
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
		path := filepath.Join(c.Roots(), name)
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
	for _, dir := range []string{c.Roots(), c.Dir} {
		err := os.Remove(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
			return environment(err)
		}
	}
	return nil
}

// checkSpace compares the free disk space with what a build needs.
func (c *Cache) checkSpace() error {
	need := c.NeedBytes
	if need == 0 {
		need = defaultNeed
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(c.Roots(), &fs); err != nil {
		return fmt.Errorf("disk space of %s: %w", c.Roots(), err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < need {
		return fmt.Errorf("%s has %s of disk space left, a root needs %s: make room, or move the cache (XDG_CACHE_HOME)",
			c.Roots(), gigabytes(free), gigabytes(need))
	}
	return nil
}

// entries lists the entries of a set, or all of them for "".
func (c *Cache) entries(set string) ([]string, error) {
	names, err := c.names()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, name := range names {
		if !strings.HasPrefix(name, ".") && strings.HasPrefix(name, set) {
			found = append(found, filepath.Join(c.Roots(), name))
		}
	}
	return found, nil
}

// leftovers lists builds and removals that are in progress or were killed.
func (c *Cache) leftovers() ([]string, error) {
	names, err := c.names()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return !strings.HasPrefix(name, buildingPrefix) && !strings.HasPrefix(name, removingPrefix)
	}), nil
}

func (c *Cache) leftoverSets() ([]string, error) {
	names, err := c.leftovers()
	if err != nil {
		return nil, err
	}
	var sets []string
	for _, name := range names {
		if set, _, ok := cutSet(name); ok {
			sets = append(sets, set)
		}
	}
	return unique(sets), nil
}

func (c *Cache) names() ([]string, error) {
	listed, err := os.ReadDir(c.Roots())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list the cache: %w", err)
	}
	names := make([]string, len(listed))
	for i, entry := range listed {
		names[i] = entry.Name()
	}
	return names, nil
}

func (c *Cache) lockFile(set string) string {
	return filepath.Join(c.Roots(), lockPrefix+strings.TrimSuffix(set, "-"))
}

// setHash stands for everything but suite and archive that decides what a root holds.
func (c *Cache) setHash(packages []string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		strings.Join(wholeSet(packages), " "), c.Builder.Recipe(), debianArchitecture(),
	}, "\n")))
	return hex.EncodeToString(sum[:4])
}

// wholeSet is what is asked of the archive: what every node needs and what is wanted, sorted, each once.
func wholeSet(packages []string) []string {
	whole := append(NodePackages(), packages...)
	slices.Sort(whole)
	return slices.Compact(whole)
}

// setPrefix is what the names of a set's entries begin with.
func setPrefix(suite, hash string) string { return suite + "-" + hash + "-" }

// cutSet finds the set in the name of an entry, a build or a removal.
func cutSet(name string) (set string, building, ok bool) {
	name, building = strings.CutPrefix(name, buildingPrefix)
	name = strings.TrimPrefix(name, removingPrefix)
	part := strings.SplitN(name, "-", 3)
	if len(part) != 3 {
		return "", building, false
	}
	return setPrefix(part[0], part[1]), building, true
}

func shortDigest(digest string) string { return digest[:min(12, len(digest))] }

func gigabytes(bytes int64) string { return fmt.Sprintf("%.1f GB", float64(bytes)/1e9) }

// roundAge is how people say an age.
func roundAge(age time.Duration) string {
	switch {
	case age >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(age.Hours()/24))
	case age >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(age.Hours()))
	default:
		return age.Round(time.Second).String()
	}
}
