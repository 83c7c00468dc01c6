package debstack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Want says which root is wanted.
type Want struct {
	Release  string   // "zed"; only for people to read
	Suite    string   // Debian's codename
	Packages []string // order and repetition do not matter; a root that is to be booted needs [NodePackages], too
	Extra    *Extra   // preferred over the suite's; may be nil
}

// Root is one cached root file system, or the files of a guest, held for use: as long as it is not released, nobody
// removes it. It is never written to; runs put an overlay on a root file system.
type Root struct {
	Kind      Kind   // what it is, for people
	Path      string // where its / is, or the guest's files are
	Key       string // <suite>-<package set>-<archive digest>
	OpenStack string // the OpenStack release, for people: "zed"
	Suite     string
	Digest    string // of the archive it was built from
	Built     time.Time
	Packages  map[string]string // name to version, of everything that is installed, or was unpacked
	Bytes     int64             // disk space

	New     bool          // built by this call of Ensure
	Offline bool          // used although the archive could not be asked whether it is current
	Age     time.Duration // since it was built
	Why     error         // with Offline: what the archive answered

	entry string
	hold  *lock
}

// Hold marks the root as in use. Ensure returns it held; Hold is for a root that was released before.
func (r *Root) Hold() error {
	if r.hold != nil {
		return nil
	}
	hold, err := tryLock(filepath.Join(r.entry, holdFile), false, false)
	if err != nil {
		return environment(fmt.Errorf("root %s is no longer there: %w", r.Key, err))
	}
	r.hold = hold
	return nil
}

// Release gives the root up: from now on a newer one may replace it. Releasing twice is fine.
func (r *Root) Release() error {
	err := r.hold.release()
	r.hold = nil
	return err
}

// Files of an entry beside root/.
const (
	manifestFile = "manifest.json"
	holdFile     = "in-use" // runs hold it shared; who wants to remove the entry, exclusively
	rootDir      = "root"
)

// manifest is what an entry says about itself. It is private: unlike reports, it names the mirror.
type manifest struct {
	Version     int               `json:"version"`
	Suite       string            `json:"suite"`
	Release     string            `json:"release"`
	Set         string            `json:"set"`
	Mirror      string            `json:"mirror"`
	Digest      string            `json:"digest"`
	Built       time.Time         `json:"built"`
	Fingerprint Fingerprint       `json:"fingerprint"`
	Packages    map[string]string `json:"packages"`
}

const manifestVersion = 1

// writeManifest writes it so that it is on disk when this returns: an entry counts by its manifest.
func writeManifest(entry string, m manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	path := filepath.Join(entry, manifestFile)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	defer file.Close()
	if _, err := file.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	return syncDir(entry)
}

// readManifest returns the manifest of an entry; an error says why the entry is broken.
func readManifest(entry string) (manifest, error) {
	text, err := os.ReadFile(filepath.Join(entry, manifestFile))
	if err != nil {
		return manifest{}, fmt.Errorf("its manifest cannot be read: %w", err)
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return manifest{}, fmt.Errorf("its manifest cannot be read: %w", err)
	}
	if m.Version != manifestVersion {
		return manifest{}, fmt.Errorf("its manifest has version %d, not %d", m.Version, manifestVersion)
	}
	return m, nil
}

// check compares an entry's tree with its manifest; an error says why the entry is broken.
func (m manifest) check(ctx context.Context, entry string) error {
	found, err := TakeFingerprint(ctx, filepath.Join(entry, rootDir))
	if ctx.Err() != nil {
		return fmt.Errorf("check the files: %w", ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("its files cannot be read: %w", err)
	}
	if !found.Same(m.Fingerprint) {
		return fmt.Errorf("its files have changed since it was built: %d entries with sum %s, recorded %d with %s",
			found.Entries, found.Sum, m.Fingerprint.Entries, m.Fingerprint.Sum)
	}
	return nil
}

func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	defer file.Close()
	if err := file.Sync(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}
