package debstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"grenade/framework/config"
)

// readExtraSource asks an apt source for its state and its packages. Signatures are apt's affair, when it installs.
func readExtraSource(ctx context.Context, mirror *Mirror, source config.AptSource) (*Extra, error) {
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, indexTimeout)
	defer cancel()
	extra, err := askExtraSource(ctx, mirror, source)
	if parent.Err() != nil {
		return nil, fmt.Errorf("%s: %w", redacted(source.URI), parent.Err())
	}
	if wrong := new(sourceError); err != nil && !errors.As(err, &wrong) {
		return &Extra{unknown: fmt.Errorf("%s: %w", redacted(source.URI), err)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", redacted(source.URI), err)
	}
	return extra, nil
}

// sourceError is what a source itself is to blame for, and not the way to it.
type sourceError struct{ text string }

func (e *sourceError) Error() string { return e.text }

func wrongSource(format string, args ...any) error { return &sourceError{fmt.Sprintf(format, args...)} }

func askExtraSource(ctx context.Context, mirror *Mirror, source config.AptSource) (*Extra, error) {
	below := path.Join("dists", source.Suite)
	if isFlat(source) {
		below = path.Clean(source.Suite)
	}
	release, err := readSourceRelease(ctx, mirror, source.URI, below)
	if err != nil {
		return nil, err
	}
	extra := &Extra{versions: map[string][]string{}}
	if extra.pin, err = release.pin(source.URI); err != nil {
		return nil, err
	}
	indexes, err := release.sourceIndexes(source)
	if err != nil {
		return nil, err
	}
	var sums []string
	for _, index := range indexes {
		sums = append(sums, index.path+" "+index.sha256)
		err := mirror.readIndex(ctx, source.URI, path.Join(below, index.path), index.sha256, func(name, version string) {
			extra.versions[name] = append(extra.versions[name], version)
		})
		if errors.Is(err, fs.ErrNotExist) {
			return nil, wrongSource("its Release file lists %s, which is not there", index.path)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", index.path, err)
		}
	}
	if len(extra.versions) == 0 {
		return nil, wrongSource("it has no packages for %s", debianArchitecture())
	}
	extra.digest = sumOf(strings.Join(sums, "\n"))
	return extra, nil
}

// isFlat says that a source is one directory, without components.
func isFlat(source config.AptSource) bool { return strings.HasSuffix(source.Suite, "/") }

// readSourceRelease reads InRelease or, where there is none, Release.
func readSourceRelease(ctx context.Context, mirror *Mirror, uri, below string) (releaseFile, error) {
	for _, name := range []string{"InRelease", "Release"} {
		body, err := mirror.open(ctx, uri, path.Join(below, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return releaseFile{}, err
		}
		text, err := io.ReadAll(io.LimitReader(body, maxRelease))
		if err = errors.Join(err, body.Close()); err != nil {
			return releaseFile{}, fmt.Errorf("read %s: %w", name, err)
		}
		if name == "InRelease" && !bytes.HasPrefix(text, []byte("-----BEGIN PGP SIGNED MESSAGE-----")) {
			return releaseFile{}, wrongSource("its InRelease has no signature in it, and apt ignores such a file: one without a signature is called Release")
		}
		release, err := readFields(text)
		if err != nil {
			return releaseFile{}, wrongSource("%s: %v", name, err)
		}
		return release, nil
	}
	return releaseFile{}, wrongSource("it has neither InRelease nor Release in %s", below)
}

// sourceIndexes picks the package index of each of the source's components for our architecture, and for all.
func (r releaseFile) sourceIndexes(source config.AptSource) ([]indexFile, error) {
	ours := debianArchitecture()
	var found []indexFile
	pick := func(directory string) bool {
		for _, packed := range []string{".xz", ".gz", ""} {
			name := path.Join(directory, "Packages"+packed)
			if sum, ok := r.sha256[name]; ok {
				found = append(found, indexFile{path: name, sha256: sum})
				return true
			}
		}
		return false
	}
	if isFlat(source) {
		if !pick("") {
			return nil, wrongSource("its Release file lists no Packages with a SHA256")
		}
		return found, nil
	}
	for _, component := range source.Components {
		listed := false
		for _, binary := range r.binaries(ours) {
			listed = pick(path.Join(component, "binary-"+binary)) || listed
		}
		if listed {
			continue
		}
		var others []string
		for name := range r.sha256 {
			if other, ok := strings.CutPrefix(name, component+"/binary-"); ok {
				others = append(others, path.Dir(other))
			}
		}
		if len(others) == 0 {
			return nil, wrongSource("its suite %s has no component %s", source.Suite, component)
		}
		slices.Sort(others)
		return nil, wrongSource("its component %s has packages for %s, not for %s", component, strings.Join(slices.Compact(others), ", "), ours)
	}
	return found, nil
}

// pin tells apt which packages are the source's, by all that its Release file says of itself (apt_preferences(5)).
func (r releaseFile) pin(uri string) (string, error) {
	var parts []string
	for _, field := range []struct{ letter, value string }{{"o", r.origin}, {"l", r.label}, {"a", r.suite}, {"n", r.codename}} {
		// Commas separate, and the others make a pattern of it.
		if field.value != "" && !strings.ContainsAny(field.value, ",*?[/") {
			parts = append(parts, field.letter+"="+field.value)
		}
	}
	if len(parts) > 0 {
		return "release " + strings.Join(parts, ","), nil
	}
	parsed, err := url.Parse(uri)
	if err == nil && parsed.Hostname() != "" {
		return `origin "` + parsed.Hostname() + `"`, nil
	}
	return "", wrongSource("its Release file has no Origin, Label, Suite or Codename, so apt cannot prefer its packages; a directory of the .deb files needs none")
}
