package debstack

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ulikunitz/xz"

	"grenade/framework/config"
)

// indexTimeout is how long the download of a package index may take: some 10 MB.
const indexTimeout = 2 * time.Minute

// checkPair finds out, before anything is built, whether both releases' archives have the packages of the cloud's
// services. It is ErrSetting when they do not, and names what is missing where. Services that this cloud does not hold
// are left out of the roots if their packages are missing, which is noted. An archive that does not answer is an
// obstacle only where there is no cached root either.
func (c *Cloud) checkPair(ctx context.Context, cache *Cache, mirror *Mirror, services []string) error {
	var refused []string
	var notes []string
	for _, side := range []config.Side{config.Base, config.Target} {
		release := c.release(side)
		extra, err := FindExtra(ctx, mirror, c.extraSetting(side))
		if err != nil {
			return err
		}
		c.extra[side] = extra
		archive, err := mirror.Archive(ctx, release.Suite)
		if _, err = extra.with(archive, err); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("packages of %s: %w", release.Suite, ctx.Err())
			}
			cached, broken := cache.entries(setPrefix(release.Suite, cache.setHash(c.want(side))))
			if broken != nil {
				return broken
			}
			if len(cached) == 0 {
				return err
			}
			continue
		}
		if archive.Expired > 0 {
			notes = append(notes, fmt.Sprintf("the archive's state of %s expired %s ago (ALLOW_EXPIRED_ARCHIVE)", release.Suite, roundAge(archive.Expired)))
		}
		names, err := cache.packageNames(ctx, mirror, archive)
		if err != nil {
			return err
		}
		for _, lib := range c.known.installed(c.options.Checkouts) {
			missing := slices.DeleteFunc(without(lib.PackagesAt(release.Number), names), extra.has)
			switch {
			case len(missing) == 0:
			case len(lib.Services) == 0 || slices.Contains(services, lib.Name):
				refused = append(refused, fmt.Sprintf("%s (%s) has no %s, which %s needs", release.Suite, release.Name, strings.Join(missing, ", "), lib.Name))
			default:
				notes = append(notes, fmt.Sprintf("%s is not in %s, whose archive has no %s today", lib.Name, release.Suite, strings.Join(missing, ", ")))
				c.leftOut[side] = append(c.leftOut[side], lib.Name)
			}
		}
	}
	// Both sides may be of one suite.
	for _, note := range unique(notes) {
		c.options.Note(note)
	}
	if len(refused) > 0 {
		return setting(fmt.Errorf("this upgrade cannot be tried: %s; choose other releases, or projects that do not need it (--label-filter)",
			strings.Join(unique(refused), "; ")))
	}
	return nil
}

func (c *Cloud) release(side config.Side) config.Release {
	if side == config.Target {
		return c.options.Config.Target
	}
	return c.options.Config.Base
}

func (c *Cloud) extraSetting(side config.Side) config.ExtraPackages {
	if side == config.Target {
		return c.options.Config.TargetExtra
	}
	return c.options.Config.BaseExtra
}

func without(wanted []string, have map[string]bool) []string {
	return slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return have[name] })
}

// packageNames lists the packages of a suite's component main, from a file in the cache if this state of the archive
// was asked for before.
func (c *Cache) packageNames(ctx context.Context, mirror *Mirror, archive Archive) (map[string]bool, error) {
	dir := filepath.Join(c.Dir, "archives")
	file := filepath.Join(dir, archive.Suite+"-"+shortDigest(archive.Digest)+".packages")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		var names []string
		if names, err = mirror.packageNames(ctx, archive); err != nil {
			return nil, environment(fmt.Errorf("packages of %s: %w", archive.Suite, err))
		}
		text = []byte(strings.Join(names, "\n") + "\n")
		err = keepNames(dir, file, archive.Suite, text)
	}
	if err != nil {
		return nil, fmt.Errorf("packages of %s: %w", archive.Suite, err)
	}
	names := map[string]bool{}
	for name := range strings.Lines(string(text)) {
		names[strings.TrimSuffix(name, "\n")] = true
	}
	return names, nil
}

// keepNames writes the list, whole or not at all, in place of those of earlier states of the suite.
func keepNames(dir, file, suite string, text []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	earlier, err := filepath.Glob(filepath.Join(dir, suite+"-*"))
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	scratch, err := os.CreateTemp(dir, suite+"-*.new")
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	_, err = scratch.Write(text)
	if err = errors.Join(err, scratch.Close()); err == nil {
		err = os.Rename(scratch.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("keep: %w", errors.Join(err, os.Remove(scratch.Name())))
	}
	for _, old := range earlier {
		if old == file {
			continue
		}
		if err := os.Remove(old); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keep: %w", err)
		}
	}
	return nil
}

// packageNames downloads the package index of the archive's state and lists the packages in it.
func (m *Mirror) packageNames(ctx context.Context, archive Archive) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, indexTimeout)
	defer cancel()
	var names []string
	for _, index := range archive.indexes {
		err := m.readIndex(ctx, archive.Mirror, path.Join("dists", archive.Suite, index.path), index.sha256, func(name, _ string) {
			names = append(names, name)
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", index.path, err)
		}
	}
	return unique(names), nil
}

// readIndex tells name and version of each package in an index, and makes sure that it is the one that the Release file
// lists.
func (m *Mirror) readIndex(ctx context.Context, mirror, file, wanted string, tell func(name, version string)) error {
	body, err := m.open(ctx, mirror, file)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // Nothing was written.
	sum := sha256.New()
	packed := io.TeeReader(bufio.NewReaderSize(body, 1<<20), sum)
	unpacked, err := unpack(packed, path.Ext(file))
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	lines := bufio.NewScanner(unpacked)
	lines.Buffer(nil, 1<<20)
	name := ""
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "Package: "); ok {
			name = value
		} else if version, ok := strings.CutPrefix(lines.Text(), "Version: "); ok {
			tell(name, version)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if _, err := io.Copy(io.Discard, packed); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != wanted {
		return fmt.Errorf("its SHA-256 is %s, the Release file says %s: the mirror may be in the middle of an update", got, wanted)
	}
	return nil
}

// unpack reads what was packed by the program that the file's suffix says.
func unpack(packed io.Reader, suffix string) (io.Reader, error) {
	switch suffix {
	case ".xz":
		return xz.NewReader(packed) //nolint:wrapcheck // the caller says what it was doing
	case ".gz":
		return gzip.NewReader(packed) //nolint:wrapcheck // the caller says what it was doing
	default:
		return packed, nil
	}
}

// open reads a file of the archive over http, https, file or copy.
func (m *Mirror) open(ctx context.Context, mirror, file string) (io.ReadCloser, error) {
	parsed, err := parseURI(mirror)
	if err != nil {
		return nil, err
	}
	if parsed.Scheme == "file" || parsed.Scheme == "copy" {
		opened, err := os.Open(path.Join(parsed.Path, file))
		if err != nil {
			return nil, fmt.Errorf("open: %w", err)
		}
		return opened, nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, parsed.JoinPath(file).String(), nil)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	answer, err := m.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("download: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		err := fmt.Errorf("HTTP status %s", answer.Status)
		if answer.StatusCode == http.StatusNotFound {
			err = fmt.Errorf("%w: %w", err, fs.ErrNotExist)
		}
		return nil, errors.Join(err, answer.Body.Close())
	}
	return answer.Body, nil
}
