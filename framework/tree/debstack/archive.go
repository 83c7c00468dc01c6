package debstack

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"sort"
	"strings"
	"time"
)

// Archive is the state of one suite of a Debian archive.
type Archive struct {
	Mirror string // URI of the archive, without a trailing slash
	Suite  string // the codename
	// Digest stands for what can be installed from the suite's component main: it changes when, and only when, the
	// package index does. Re-signing a Release file, a new date in it, or a change in another component leave it alone.
	Digest string
	// Expired is how long ago the state ceased to be valid, where that was allowed; else 0.
	Expired time.Duration
	// indexes are the lists of what can be installed.
	indexes []indexFile
}

// indexFile is a compressed package index.
type indexFile struct {
	path   string // below dists/<suite>
	sha256 string
}

// releaseFile is the part of an InRelease file that we use (Debian repository format, "Release" files).
type releaseFile struct {
	origin, label, suite, codename string
	validUntil                     time.Time         // zero: for ever
	sha256                         map[string]string // by path below dists/<suite>
	// allIncluded: an architecture's index lists the packages of architecture "all", too, and apt reads no other
	// ("No-Support-for-Architecture-all: Packages"). Debian's archive says so, and its index of "all" may be a stale one.
	allIncluded bool
}

// parseRelease reads the Release file of a suite.
func parseRelease(text []byte) (releaseFile, error) {
	found, err := readFields(text)
	if err != nil {
		return found, err
	}
	// A portal that asks for a login answers every request with a page of its own.
	if found.codename == "" && found.suite == "" {
		return found, errors.New("what was received is no Release file: it has neither Codename nor Suite")
	}
	return found, nil
}

// readFields reads the Release file of any directory of packages.
func readFields(text []byte) (releaseFile, error) {
	found := releaseFile{sha256: map[string]string{}}
	field := ""
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "-----BEGIN PGP SIGNATURE") {
			break
		}
		if strings.HasPrefix(line, " ") {
			if part := strings.Fields(line); field == "SHA256" && len(part) == 3 {
				found.sha256[part[2]] = part[0]
			}
			continue
		}
		name, value, isField := strings.Cut(line, ":")
		if !isField {
			continue
		}
		field = name
		switch value = strings.TrimSpace(value); name {
		case "Origin":
			found.origin = value
		case "Label":
			found.label = value
		case "Suite":
			found.suite = value
		case "Codename":
			found.codename = value
		case "No-Support-for-Architecture-all":
			found.allIncluded = slices.Contains(strings.Fields(value), "Packages")
		case "Valid-Until":
			until, err := time.Parse(time.RFC1123, strings.Replace(value, "UTC", "GMT", 1))
			if err != nil {
				return found, fmt.Errorf("Release file: Valid-Until: %w", err)
			}
			found.validUntil = until
		}
	}
	if err := lines.Err(); err != nil {
		return found, fmt.Errorf("Release file: %w", err)
	}
	return found, nil
}

// indexes are the package indexes of component main for one architecture, as far as they are packed with xz: Debian's
// all are.
func (r releaseFile) indexes(arch string) []indexFile {
	var found []indexFile
	for _, binary := range r.binaries(arch) {
		name := "main/binary-" + binary + "/Packages.xz"
		if sum, listed := r.sha256[name]; listed {
			found = append(found, indexFile{path: name, sha256: sum})
		}
	}
	return found
}

// binaries are the architectures whose indexes together hold what one architecture can install.
func (r releaseFile) binaries(arch string) []string {
	if r.allIncluded {
		return []string{arch}
	}
	return []string{arch, "all"}
}

// digest sums up the package indexes of component main for one architecture.
func (r releaseFile) digest(arch string) (string, error) {
	index := "main/binary-" + arch + "/Packages"
	var lines []string
	if sum, ok := r.sha256[index]; ok {
		lines = append(lines, index+" "+sum)
	} else {
		// Some archives list the compressed forms only.
		for name, sum := range r.sha256 {
			if strings.HasPrefix(name, index+".") {
				lines = append(lines, name+" "+sum)
			}
		}
	}
	if len(lines) == 0 {
		return "", fmt.Errorf("its Release file lists no %s", index)
	}
	if sum, ok := r.sha256["main/binary-all/Packages"]; ok && !r.allIncluded {
		lines = append(lines, "main/binary-all/Packages "+sum)
	}
	sort.Strings(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:]), nil
}

// maxRelease bounds what is read of an InRelease file, in bytes: Debian's have about 200 kB.
const maxRelease = 16 << 20

// fetchRelease reads <mirror>/dists/<suite>/InRelease over http, https, file or copy. Its signature is not checked
// here: mmdebstrap checks it before it installs anything, and a forged digest can at most cause or suppress a rebuild.
func fetchRelease(ctx context.Context, client *http.Client, mirror, suite string) (releaseFile, error) {
	parsed, err := parseURI(mirror)
	if err != nil {
		return releaseFile{}, err
	}
	if parsed.Scheme == "file" || parsed.Scheme == "copy" {
		text, err := os.ReadFile(path.Join(parsed.Path, "dists", suite, "InRelease"))
		if err != nil {
			return releaseFile{}, fmt.Errorf("its Release file: %w", err)
		}
		return parseRelease(text)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, parsed.JoinPath("dists", suite, "InRelease").String(), nil)
	if err != nil {
		return releaseFile{}, fmt.Errorf("request: %w", err)
	}
	answer, err := client.Do(request)
	if err != nil {
		// url.Error repeats the URL, which the caller names anyway; what went wrong is inside.
		if inner := new(url.Error); errors.As(err, &inner) {
			err = inner.Err
		}
		return releaseFile{}, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return releaseFile{}, fmt.Errorf("HTTP status %s", answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxRelease))
	if err != nil {
		return releaseFile{}, fmt.Errorf("read its Release file: %w", err)
	}
	return parseRelease(text)
}
