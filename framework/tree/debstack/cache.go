package debstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Cache keeps what is built from a suite's packages across runs: root file systems, or guests. One directory per build:
//
//	<Dir>/roots/<suite>-<package set>-<archive digest>/{root/,manifest.json,in-use}
//	<Dir>/roots/.building-<suite>-<package set>-<pid>-…/   a build in progress, or what a killed one left
//	<Dir>/roots/.removing-…                                an entry on its way out
//	<Dir>/roots/.lock-<suite>-<package set>                held by who builds; holds its pid
//	<Dir>/logs/<suite>-<package set>.log                   the last build's whole output
//
// Guests are in <Dir>/guests, their logs begin with guest-. The package set is a hash of everything that decides what
// is built from a suite: the packages, where extra ones come from, the builder's recipe, the architecture. The archive's
// digest is one with that of the extra packages. Several processes may use one cache at the same time.
type Cache struct {
	// Dir is the cache's directory, made when needed. It must allow devices and set-uid programs.
	Dir string
	// Of says what the cache holds; default: roots.
	Of Kind
	// Archives tells the current state of a suite; usually a *Mirror.
	Archives Archives
	// Builder makes what the cache holds; usually a *Mmdebstrap.
	Builder Builder
	// NeedBytes is the disk space that must be free before a build starts; default 3 GB for a root, 0.3 GB for a guest.
	NeedBytes int64
}

// Kind is what a cache holds, in the singular: its entries are in a directory of that name in the plural.
type Kind string

// The kinds.
const (
	KindRoot  Kind = "root"  // file systems with a release's packages
	KindGuest Kind = "guest" // what test servers boot from
)

// Archives tells the current state of a suite. An error means that nobody knows it now.
type Archives interface {
	Archive(ctx context.Context, suite string) (Archive, error)
}

// Builder makes what a cache holds.
type Builder interface {
	// Recipe is a text that changes when the same packages would make something different.
	Recipe() string
	// Build makes it in order.Root, which does not exist yet. It may use order.Scratch for its own files, writes its
	// whole output to order.Log, and calls progress while it works. What a failed build leaves is for the caller to
	// remove; nothing of it may run on.
	Build(ctx context.Context, order BuildOrder, progress func(string)) (Built, error)
	// Abandon ends everything that a killed build with this scratch directory left running.
	Abandon(ctx context.Context, scratch string) error
}

// BuildOrder is one root, or guest, to be built.
type BuildOrder struct {
	Suite    string
	Mirror   string
	Packages []string // sorted, each once
	Extra    *Extra
	Scratch  string // an existing, private directory
	Root     string // below Scratch
	Log      string
}

// Built is what a build says about itself.
type Built struct {
	// Digest is of the archive state that was really installed from: the archive may have moved since it was asked.
	Digest string
	// Packages are those that were installed, or unpacked, with their versions.
	Packages map[string]string
}

const (
	rootNeed  = 3_000_000_000
	guestNeed = 300_000_000

	// progressInterval is the longest silence that progress callbacks are allowed.
	progressInterval = 3 * time.Second

	buildingPrefix = ".building-"
	removingPrefix = ".removing-"
	lockPrefix     = ".lock-"
)

// Entries is the directory that holds the entries; a node binds that of the roots to see its lower layers.
func (c *Cache) Entries() string { return filepath.Join(c.Dir, string(c.kind())+"s") }

func (c *Cache) kind() Kind {
	if c.Of == "" {
		return KindRoot
	}
	return c.Of
}

// Ensure returns a root (or guest) that holds what is wanted, held for use: the caller releases it.
//
// A cached one is used when it is complete and the archive has not moved since. Else one is built, roots in minutes, and
// replaces those of the same suite and package set that nobody holds. If the archive does not answer, the newest
// cached one of that set is used and says so (Offline, Age, Why); without one, the archive's error is returned.
// What killed builds left is removed. progress gets a line at least every few seconds while there is work or waiting.
//
// Errors belong to ErrEnvironment, except when ctx ended.
func (c *Cache) Ensure(ctx context.Context, want Want, progress func(string)) (*Root, error) {
	if progress == nil {
		progress = func(string) {}
	}
	prefix := want.Suite + ": "
	if c.kind() != KindRoot {
		prefix = string(c.kind()) + " of " + prefix
	}
	say := func(format string, args ...any) { progress(prefix + fmt.Sprintf(format, args...)) }
	root, err := c.ensure(ctx, want, say)
	if err != nil {
		err = fmt.Errorf("%s of %s (%s): %w", c.kind(), want.Suite, want.Release, err)
		if ctx.Err() == nil && !errors.Is(err, ErrSetting) {
			err = environment(err)
		}
		return nil, err
	}
	root.Kind = c.kind()
	return root, nil
}

type say func(format string, args ...any)

func (c *Cache) ensure(ctx context.Context, want Want, say say) (*Root, error) {
	if err := os.MkdirAll(c.Entries(), 0o700); err != nil {
		return nil, fmt.Errorf("make the cache: %w", err)
	}
	if err := c.sweep(ctx, say); err != nil {
		return nil, err
	}
	set := setPrefix(want.Suite, c.setHash(want))

	// The archive answers over the network while the disk reads the newest entry: a warm start pays for one of them.
	type asked struct {
		archive Archive
		err     error
	}
	answer := make(chan asked, 1)
	go func() {
		archive, err := want.Extra.with(c.Archives.Archive(ctx, want.Suite))
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
		say("the archive cannot be asked (%v); using the cached %s, built %s ago", got.err, c.kind(), roundAge(newest.Age))
		return newest, nil
	}
	if newest != nil && newest.Digest == got.archive.Digest {
		return newest, nil
	}
	if newest == nil {
		say("no usable %s in the cache; one will be built", c.kind())
	} else {
		say("the archive has moved since the cached %s was built, %s ago; a new one will be built", c.kind(), roundAge(newest.Age))
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
