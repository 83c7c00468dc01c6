package debstack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/ulikunitz/xz"

	"grenade/framework/config"
)

// fakeArchive serves suites with the packages given, and counts downloads of their indexes.
type fakeArchive struct {
	*httptest.Server
	downloads int
}

func newFakeArchive(t *testing.T, suites map[string]string, validUntil time.Time) *fakeArchive {
	t.Helper()
	fake := &fakeArchive{}
	mux := http.NewServeMux()
	for suite, packages := range suites {
		var packed bytes.Buffer
		writer, err := xz.NewWriter(&packed)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range bytes.Fields([]byte(packages)) {
			fmt.Fprintf(writer, "Package: %s\nVersion: 1\n\n", name)
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(packed.Bytes())
		index := "main/binary-" + debianArchitecture() + "/Packages"
		release := fmt.Sprintf("Origin: Debian\nCodename: %s\nValid-Until: %s\nSHA256:\n %s 1 %s.xz\n",
			suite, validUntil.UTC().Format("Mon, 02 Jan 2006 15:04:05 UTC"), hex.EncodeToString(sum[:]), index)
		mux.HandleFunc("/dists/"+suite+"/InRelease", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, release) })
		mux.HandleFunc("/dists/"+suite+"/"+index+".xz", func(w http.ResponseWriter, _ *http.Request) {
			fake.downloads++
			_, _ = w.Write(packed.Bytes())
		})
	}
	fake.Server = httptest.NewServer(mux)
	t.Cleanup(fake.Close)
	return fake
}

// noApt is a host without apt.
func noApt(context.Context, ...string) ([]byte, error) { return nil, errors.New("no apt here") }

func fakeMirror(t *testing.T, url string) *Mirror {
	t.Helper()
	mirror, err := FindMirror(t.Context(), url, Host{Root: t.TempDir(), Output: noApt})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return mirror
}

func pairCloud(t *testing.T, notes *[]string, headers map[string]string) *Cloud {
	t.Helper()
	known, err := libs(headers).Services()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	releases := config.Releases()
	return &Cloud{
		known: known, leftOut: map[config.Side][]string{}, extra: map[config.Side]*Extra{},
		options: CloudOptions{
			Config: &config.Config{Base: releases[1], Target: releases[2]},
			Note:   func(text string) { *notes = append(*notes, text) },
		},
	}
}

func TestAPairWhosePackagesAreMissingIsRefusedBeforeAnythingIsBuilt(t *testing.T) {
	libs := map[string]string{
		"database": "# packages: mariadb-server\n",
		"keystone": "# services: key\n# packages: keystone\n",
		"glance":   "# services: g-api\n# requires: keystone\n# packages: glance-api\n# packages-since: 2026.1 glance-new\n",
	}
	for name, test := range map[string]struct {
		trixie, forky string
		services      []string
		refused       string
		leftOut       []string
	}{
		"all there":        {"mariadb-server keystone glance-api", "mariadb-server keystone glance-api glance-new", []string{"keystone", "glance"}, "", nil},
		"wanted":           {"mariadb-server keystone glance-api", "mariadb-server keystone", []string{"keystone", "glance"}, "forky (2026.1) has no glance-api, glance-new, which glance needs", nil},
		"not wanted":       {"mariadb-server keystone glance-api", "mariadb-server keystone glance-api", []string{"keystone"}, "", []string{"glance"}},
		"every cloud's":    {"keystone glance-api", "mariadb-server keystone glance-api glance-new", []string{"keystone"}, "trixie (2025.1) has no mariadb-server, which database needs", nil},
		"base lacks later": {"mariadb-server keystone glance-api", "mariadb-server keystone glance-api glance-new", []string{"glance"}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			archive := newFakeArchive(t, map[string]string{"trixie": test.trixie, "forky": test.forky}, time.Now().Add(time.Hour))
			var notes []string
			cloud := pairCloud(t, &notes, libs)
			cache := &Cache{Dir: t.TempDir(), Builder: &Mmdebstrap{}}
			err := cloud.checkPair(t.Context(), cache, fakeMirror(t, archive.URL), test.services)
			if test.refused != "" {
				g.Expect(err).To(MatchError(ErrSetting))
				g.Expect(err).To(MatchError(ContainSubstring(test.refused)))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(cloud.leftOut[config.Target]).To(Equal(test.leftOut))
			g.Expect(notes).To(HaveLen(len(test.leftOut)))
			for _, out := range test.leftOut {
				g.Expect(cloud.want(config.Target).Packages).NotTo(ContainElement(ContainSubstring(out)))
			}

			g.Expect(cloud.checkPair(t.Context(), cache, fakeMirror(t, archive.URL), test.services)).To(Succeed())
			g.Expect(archive.downloads).To(Equal(2), "the second time, the lists come from the cache")
		})
	}
}

func TestAnArchiveThatIsGoneAndNoCachedRoot(t *testing.T) {
	g := NewWithT(t)
	archive := newFakeArchive(t, map[string]string{"trixie": "keystone"}, time.Now().Add(time.Hour))
	var notes []string
	cloud := pairCloud(t, &notes, map[string]string{"keystone": "# services: key\n# packages: keystone\n"})
	cache := &Cache{Dir: t.TempDir(), Builder: &Mmdebstrap{}}
	err := cloud.checkPair(t.Context(), cache, fakeMirror(t, archive.URL), []string{"keystone"})
	g.Expect(err).To(MatchError(ErrEnvironment))
	g.Expect(err).To(MatchError(ContainSubstring("suite forky")))

	// What a cached root is good for, its own check says.
	entry := setPrefix("forky", cache.setHash(cloud.want(config.Target))) + "0"
	g.Expect(os.MkdirAll(filepath.Join(cache.Dir, "roots", entry), 0o700)).To(Succeed())
	g.Expect(cloud.checkPair(t.Context(), cache, fakeMirror(t, archive.URL), []string{"keystone"})).To(Succeed())
}

func TestAnIndexThatIsNotTheListedOneIsAnError(t *testing.T) {
	g := NewWithT(t)
	archive := newFakeArchive(t, map[string]string{"trixie": "x"}, time.Now().Add(time.Hour))
	mirror := fakeMirror(t, archive.URL)
	state, err := mirror.Archive(t.Context(), "trixie")
	g.Expect(err).NotTo(HaveOccurred())
	state.indexes[0].sha256 = "0"
	cache := &Cache{Dir: t.TempDir()}
	_, err = cache.packageNames(t.Context(), mirror, state)
	g.Expect(err).To(MatchError(ContainSubstring("the Release file says 0")))
	g.Expect(filepath.Glob(filepath.Join(cache.Dir, "archives", "*"))).To(BeEmpty())
}

func TestAnExpiredArchiveIsUsedOnRequestOnly(t *testing.T) {
	g := NewWithT(t)
	archive := newFakeArchive(t, map[string]string{"forky": "x"}, time.Now().Add(-72*time.Hour))
	mirror := fakeMirror(t, archive.URL)
	_, err := mirror.Archive(t.Context(), "forky")
	g.Expect(err).To(MatchError(ContainSubstring("expired 3 days ago, set ALLOW_EXPIRED_ARCHIVE=True")))
	mirror.AllowExpired = true
	state, err := mirror.Archive(t.Context(), "forky")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(state.Expired).To(BeNumerically("~", 72*time.Hour, time.Minute))
}

func TestKeepNamesForgetsEarlierStates(t *testing.T) {
	g, dir := NewWithT(t), t.TempDir()
	g.Expect(keepNames(dir, filepath.Join(dir, "forky-1.packages"), "forky", []byte("a\n"))).To(Succeed())
	g.Expect(keepNames(dir, filepath.Join(dir, "forky-2.packages"), "forky", []byte("b\n"))).To(Succeed())
	left, err := os.ReadDir(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left).To(HaveLen(1))
	g.Expect(left[0].Name()).To(Equal("forky-2.packages"))
}
