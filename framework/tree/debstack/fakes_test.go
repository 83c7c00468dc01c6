package debstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	. "github.com/onsi/gomega"
)

// fakeArchives is an archive whose state a test sets.
type fakeArchives struct {
	mu     sync.Mutex
	digest string
	err    error
}

func (f *fakeArchives) Archive(_ context.Context, suite string) (Archive, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return Archive{}, f.err
	}
	return Archive{Mirror: "file:/nowhere", Suite: suite, Digest: f.digest}, nil
}

func (f *fakeArchives) become(digest string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.digest, f.err = digest, err
}

// fakeBuilder makes tiny roots.
type fakeBuilder struct {
	archives *fakeArchives
	// during, if set, is called in the middle of a build.
	during func(ctx context.Context, order BuildOrder) error

	mu        sync.Mutex
	built     int
	abandoned []string
}

func (f *fakeBuilder) Recipe() string { return "fake" }

func (f *fakeBuilder) Build(ctx context.Context, order BuildOrder, progress func(string)) (Built, error) {
	archive, err := f.archives.Archive(ctx, order.Suite)
	if err != nil {
		return Built{}, err
	}
	progress("building")
	for path, text := range map[string]string{
		"etc/passwd":          "root:x:0:0:root:/root:/bin/bash\nstack:x:1000:1000::/opt/stack:/bin/bash\n",
		"usr/bin/true":        "true",
		"var/lib/dpkg/status": "Package: true\nStatus: install ok installed\nVersion: 1.0-1\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 2\n",
	} {
		if err := writeFile(filepath.Join(order.Root, path), text); err != nil {
			return Built{}, err
		}
	}
	if f.during != nil {
		if err := f.during(ctx, order); err != nil {
			return Built{}, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.built++
	packages, err := installedPackages(order.Root)
	return Built{Digest: archive.Digest, Packages: packages}, errors.Join(err, ctx.Err())
}

func (f *fakeBuilder) Abandon(_ context.Context, scratch string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.abandoned = append(f.abandoned, filepath.Base(scratch))
	return nil
}

func (f *fakeBuilder) builds() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.built
}

func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// bench is a cache with its fakes, and the progress lines it told.
type bench struct {
	*Cache
	archives *fakeArchives
	builder  *fakeBuilder

	mu    sync.Mutex
	lines []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	archives := &fakeArchives{digest: "aaaaaaaaaaaaaaaa"}
	builder := &fakeBuilder{archives: archives}
	return &bench{
		Cache:    &Cache{Dir: filepath.Join(t.TempDir(), "cache"), Archives: archives, Builder: builder, NeedBytes: 1},
		archives: archives, builder: builder,
	}
}

var errNoNetwork = errors.New("http://mirror.invalid/debian (no answer within 5s)")

func (b *bench) told(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
}

func (b *bench) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.lines...)
}

// ensure wants the same small root as always; the test fails if it does not get it.
func (b *bench) ensure(t *testing.T) *Root {
	t.Helper()
	root, err := b.try(t.Context())
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return root
}

func (b *bench) try(ctx context.Context) (*Root, error) {
	return b.Ensure(ctx, Want{Release: "zed", Suite: "bookworm", Packages: []string{"keystone"}}, b.told)
}

// content lists what is in the cache's roots directory, lock files left out.
func (b *bench) content(t *testing.T) []string {
	t.Helper()
	listed, err := os.ReadDir(b.Entries())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	names := []string{}
	for _, entry := range listed {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names
}

func releaseText(packages, contrib, date, signature string) string {
	return fmt.Sprintf(`-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

Origin: Debian
Suite: oldstable
Codename: bookworm
Date: %s
Components: main contrib
MD5Sum:
 0123 10 main/binary-%s/Packages
SHA256:
 %s 47 main/binary-%s/Packages
 cafe 20 main/binary-%s/Packages.xz
 beef 30 main/binary-all/Packages
 %s 10 contrib/binary-%s/Packages
-----BEGIN PGP SIGNATURE-----

%s
-----END PGP SIGNATURE-----
`, date, debianArchitecture(), packages, debianArchitecture(), debianArchitecture(), contrib, debianArchitecture(), signature)
}
