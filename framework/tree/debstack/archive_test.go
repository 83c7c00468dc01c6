package debstack

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestArchiveDigest(t *testing.T) {
	g := NewWithT(t)
	var text atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/debian/dists/bookworm/InRelease" {
			http.NotFound(w, r)
			return
		}
		_, _ = fmt.Fprint(w, text.Load())
	}))
	defer server.Close()
	mirror, err := FindMirror(t.Context(), server.URL+"/debian/", fakeHost{}.host(t))
	g.Expect(err).NotTo(HaveOccurred())
	digest := func(release string) string {
		t.Helper()
		text.Store(release)
		archive, err := mirror.Archive(t.Context(), "bookworm")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(archive.Mirror).To(Equal(server.URL + "/debian"))
		return archive.Digest
	}
	state := digest(releaseText("abcd", "1", "Sat, 11 Jul 2026 10:16:37 UTC", "sig1"))
	g.Expect(state).To(MatchRegexp("^[0-9a-f]{64}$"))
	g.Expect(digest(releaseText("abcd", "1", "Sat, 11 Jul 2026 10:16:37 UTC", "sig2"))).To(Equal(state), "signed again")
	g.Expect(digest(releaseText("abcd", "1", "Sun, 12 Jul 2026 10:16:37 UTC", "sig1"))).To(Equal(state), "published again")
	g.Expect(digest(releaseText("abcd", "2", "Sat, 11 Jul 2026 10:16:37 UTC", "sig1"))).To(Equal(state), "another component moved")
	g.Expect(digest(releaseText("abce", "1", "Sat, 11 Jul 2026 10:16:37 UTC", "sig1"))).NotTo(Equal(state), "a package moved")
}

func TestArchiveAnswersThatAreOfNoUse(t *testing.T) {
	release := releaseText("abcd", "1", "d", "s")
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"suite not there": {http.NotFound, "HTTP status 404"},
		"proxy's error":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "HTTP status 502"},
		"login page":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>log in</html>")) }, "no Release file"},
		"another suite": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.ReplaceAll(release, "bookworm", "noble")))
		}, `codename "noble"`},
		"no such architecture": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.ReplaceAll(release, "binary-"+debianArchitecture(), "binary-vax")))
		}, "lists no main/binary-" + debianArchitecture() + "/Packages"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := httptest.NewServer(test.handler)
			defer server.Close()
			mirror, err := FindMirror(t.Context(), server.URL, fakeHost{}.host(t))
			g.Expect(err).NotTo(HaveOccurred())
			_, err = mirror.Archive(t.Context(), "bookworm")
			g.Expect(err).To(MatchError(And(ContainSubstring(test.want), ContainSubstring(server.URL), ContainSubstring("DEBIAN_MIRROR names"))))
			g.Expect(err).To(MatchError(ErrEnvironment))
		})
	}
}

func TestArchiveThatDoesNotListen(t *testing.T) {
	g := NewWithT(t)
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	mirror, err := FindMirror(t.Context(), server.URL, fakeHost{}.host(t))
	g.Expect(err).NotTo(HaveOccurred())
	_, err = mirror.Archive(t.Context(), "bookworm")
	g.Expect(err).To(MatchError(And(ContainSubstring(server.URL+" ("), ContainSubstring("connection refused"))))
}

// Asked side by side, one that drops packets does not keep the next from answering.
func TestArchiveThatDoesNotAnswer(t *testing.T) {
	g := NewWithT(t)
	done := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	defer silent.Close()
	defer close(done)
	mirror, err := FindMirror(t.Context(), silent.URL, fakeHost{}.host(t))
	g.Expect(err).NotTo(HaveOccurred())
	mirror.timeout = 50 * time.Millisecond
	_, err = mirror.Archive(t.Context(), "bookworm")
	g.Expect(err).To(MatchError(ContainSubstring(silent.URL + " (no answer within 50ms)")))

	answering := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, releaseText("abcd", "1", "d", "s"))
	}))
	defer answering.Close()
	mirror, err = FindMirror(t.Context(), "", fakeHost{targets: silent.URL + "/|bookworm|main\n" + answering.URL + "/|bookworm|main\n"}.host(t))
	g.Expect(err).NotTo(HaveOccurred())
	mirror.timeout = time.Second
	archive, err := mirror.Archive(t.Context(), "bookworm")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(archive.Mirror).To(Equal(answering.URL))
}

func TestArchiveInADirectory(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(writeFile(filepath.Join(dir, "dists/bookworm/InRelease"), releaseText("abcd", "1", "d", "s"))).To(Succeed())
	for _, scheme := range []string{"file:", "file://", "copy:"} {
		mirror, err := FindMirror(t.Context(), scheme+dir, fakeHost{}.host(t))
		g.Expect(err).NotTo(HaveOccurred())
		archive, err := mirror.Archive(t.Context(), "bookworm")
		g.Expect(err).NotTo(HaveOccurred(), scheme)
		g.Expect(archive.Mirror).To(Equal(scheme + dir))
		_, err = mirror.Archive(t.Context(), "trixie")
		g.Expect(err).To(MatchError(ContainSubstring("no such file")))
	}
}

// A Release file that lists compressed indexes only is one that reprepro, for example, can write.
func TestDigestOfCompressedIndexesOnly(t *testing.T) {
	g := NewWithT(t)
	parse := func(text string) string {
		release, err := parseRelease([]byte(text))
		g.Expect(err).NotTo(HaveOccurred())
		digest, err := release.digest("amd64")
		g.Expect(err).NotTo(HaveOccurred())
		return digest
	}
	text := "Codename: x\nSHA256:\n aa 1 main/binary-amd64/Packages.gz\n bb 1 main/binary-amd64/Packages.xz\n cc 1 main/source/Sources.xz\n"
	swapped := "Codename: x\nSHA256:\n bb 1 main/binary-amd64/Packages.xz\n dd 1 main/source/Sources.xz\n aa 1 main/binary-amd64/Packages.gz\n"
	g.Expect(parse(text)).To(Equal(parse(swapped)))
	g.Expect(parse(text)).NotTo(Equal(parse(strings.Replace(text, "aa", "ee", 1))))
}

// Debian's archive has had an index of "all" that was not the one of its Release file, and apt did not mind: it reads
// that index only where the architectures' own lack its packages.
func TestIndexOfAllIsLeftAloneWhereAptDoesNotReadIt(t *testing.T) {
	g := NewWithT(t)
	paths := func(text string) (paths []string, digest string) {
		release, err := parseRelease([]byte(text))
		g.Expect(err).NotTo(HaveOccurred())
		for _, index := range release.indexes("amd64") {
			paths = append(paths, index.path)
		}
		digest, err = release.digest("amd64")
		g.Expect(err).NotTo(HaveOccurred())
		return paths, digest
	}
	indexes := "SHA256:\n aa 1 main/binary-amd64/Packages\n bb 1 main/binary-amd64/Packages.xz\n cc 1 main/binary-all/Packages\n dd 1 main/binary-all/Packages.xz\n"
	found, separate := paths("Codename: x\n" + indexes)
	g.Expect(found).To(Equal([]string{"main/binary-amd64/Packages.xz", "main/binary-all/Packages.xz"}))
	included := "Codename: x\nNo-Support-for-Architecture-all: Packages\n"
	found, together := paths(included + indexes)
	g.Expect(found).To(Equal([]string{"main/binary-amd64/Packages.xz"}))
	g.Expect(together).NotTo(Equal(separate))
	_, stale := paths(included + strings.ReplaceAll(indexes, "cc", "ee"))
	g.Expect(stale).To(Equal(together))
}

func TestDigestOfTheInstalledHostArchive(t *testing.T) {
	lists, err := filepath.Glob("/var/lib/apt/lists/*_dists_*_InRelease")
	if err != nil || len(lists) == 0 {
		t.Skip("this host keeps no InRelease file of its archives")
	}
	g := NewWithT(t)
	text, err := os.ReadFile(lists[0])
	g.Expect(err).NotTo(HaveOccurred())
	release, err := parseRelease(bytes.TrimSpace(text))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(release.origin).NotTo(BeEmpty())
	g.Expect(release.sha256).NotTo(BeEmpty())
}
