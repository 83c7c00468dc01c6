package debstack

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
)

// makeDeb makes a package that holds one file: <name>_<version>.deb.
func makeDeb(t *testing.T, dir, name, version, architecture string) {
	t.Helper()
	if _, err := osexec.LookPath("dpkg-deb"); err != nil {
		t.Skip("there is no dpkg-deb on this machine")
	}
	g := NewWithT(t)
	tree := t.TempDir()
	g.Expect(writeFile(filepath.Join(tree, "usr/share/"+name), version)).To(Succeed())
	g.Expect(writeFile(filepath.Join(tree, "DEBIAN/control"), fmt.Sprintf(
		"Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: nobody <nobody@example.org>\nDescription: a test\n", name, version, architecture))).To(Succeed())
	file := filepath.Join(dir, fmt.Sprintf("%s_%s.deb", name, version))
	output, err := osexec.CommandContext(t.Context(), "dpkg-deb", "--root-owner-group", "--build", tree, file).CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(output))
}

func directory(dir string) config.ExtraPackages {
	return config.ExtraPackages{Setting: "BASE_EXTRA_PACKAGES", Directory: dir}
}

func source(uri, suite string, components ...string) config.ExtraPackages {
	return config.ExtraPackages{
		Setting: "BASE_EXTRA_PACKAGES",
		Source:  config.AptSource{Options: []string{"trusted=yes"}, URI: uri, Suite: suite, Components: components},
	}
}

func TestNoExtraPackages(t *testing.T) {
	g := NewWithT(t)
	extra, err := FindExtra(t.Context(), nil, config.ExtraPackages{Setting: "BASE_EXTRA_PACKAGES"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(extra).To(BeNil())
	g.Expect(extra.Used(map[string]string{"glance-api": "1"})).To(BeEmpty())
	g.Expect(extra.text()).To(BeEmpty(), "the keys of roots without extra packages stay as they were")
	g.Expect(extra.digestWith("abc")).To(Equal("abc"))
	g.Expect(extra.options("/nowhere")).To(BeEmpty())
}

func TestDirectoryOfPackages(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	makeDeb(t, dir, "python3-glance", "2:25.1.0-2~local", "all")
	makeDeb(t, dir, "glance-api", "2:25.1.0-2~local", debianArchitecture())
	extra, err := FindExtra(t.Context(), nil, directory(dir))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(extra.has("glance-api")).To(BeTrue())
	g.Expect(extra.has("nova-api")).To(BeFalse())

	used, err := extra.Used(map[string]string{"python3-glance": "2:25.1.0-2~local", "python3-nova": "1"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(used).To(Equal([]string{"python3-glance 2:25.1.0-2~local"}))
	_, err = extra.Used(map[string]string{"python3-glance": "2:25.1.0-2", "glance-api": "2:25.1.0-2~local"})
	g.Expect(err).To(MatchError(And(ContainSubstring("python3-glance is 2:25.1.0-2, not 2:25.1.0-2~local"), ContainSubstring("BASE_EXTRA_PACKAGES"))))
	g.Expect(err).To(MatchError(ErrSetting))
	_, err = extra.Used(map[string]string{"python3-nova": "1"})
	g.Expect(err).To(MatchError(And(ContainSubstring("none of its packages is in the root"), ContainSubstring("glance-api, python3-glance"))))

	before := extra.digest
	g.Expect(os.Rename(filepath.Join(dir, "glance-api_2:25.1.0-2~local.deb"), filepath.Join(dir, "x y.deb"))).To(Succeed())
	extra, err = FindExtra(t.Context(), nil, directory(dir))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(extra.digest).To(Equal(before), "a name does not matter")
	makeDeb(t, dir, "glance-common", "2:25.1.0-2~local", "all")
	extra, err = FindExtra(t.Context(), nil, directory(dir))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(extra.digest).NotTo(Equal(before))
}

func TestDirectoryThatIsNone(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	refused := func(path string, why ...string) {
		t.Helper()
		_, err := FindExtra(t.Context(), nil, directory(path))
		g.Expect(err).To(MatchError(ErrSetting))
		for _, part := range append(why, "BASE_EXTRA_PACKAGES") {
			g.Expect(err).To(MatchError(ContainSubstring(part)))
		}
	}
	refused(filepath.Join(dir, "missing"), "no such file or directory")
	g.Expect(writeFile(filepath.Join(dir, "below/x.deb"), "")).To(Succeed())
	refused(dir, "holds no .deb file")
	file := filepath.Join(dir, "note.txt")
	g.Expect(writeFile(file, "")).To(Succeed())
	refused(file, "is no directory")

	makeDeb(t, dir, "glance-api", "1", "all")
	g.Expect(writeFile(filepath.Join(dir, "broken.deb"), "no package")).To(Succeed())
	makeDeb(t, dir, "foreign", "1", map[bool]string{true: "arm64", false: "amd64"}[debianArchitecture() != "arm64"])
	refused(dir, "broken.deb: it cannot be read:", "foreign_1.deb: it is for the architecture")
	cut := filepath.Join(dir, "glance-api_1.deb")
	g.Expect(os.Truncate(cut, 100)).To(Succeed())
	refused(dir, "glance-api_1.deb: it cannot be read:")
}

func TestChangedPackagesMakeAnotherRootAndTheOldOneGoes(t *testing.T) {
	g := NewWithT(t)
	b := newBench(t)
	ensure := func(extra *Extra) *Root {
		t.Helper()
		root, err := b.Ensure(t.Context(), Want{Release: "zed", Suite: "bookworm", Packages: []string{"keystone"}, Extra: extra}, b.told)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(root.Release()).To(Succeed())
		return root
	}
	plain := ensure(nil)
	one := ensure(&Extra{from: directory("/srv/debs"), digest: "1"})
	g.Expect(one.New).To(BeTrue())
	g.Expect(ensure(&Extra{from: directory("/srv/debs"), digest: "1"}).New).To(BeFalse())
	two := ensure(&Extra{from: directory("/srv/debs"), digest: "2"})
	g.Expect(two.New).To(BeTrue())
	g.Expect(b.content(t)).To(ConsistOf(plain.Key, two.Key))
	g.Expect(ensure(nil).New).To(BeFalse())

	// A source that cannot be asked: its last root is used, and says so.
	offline := &Extra{from: directory("/srv/debs"), unknown: errNoNetwork}
	cached, err := b.Ensure(t.Context(), Want{Suite: "bookworm", Packages: []string{"keystone"}, Extra: offline}, b.told)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(cached.Offline).To(BeTrue())
	g.Expect(cached.Why).To(MatchError(And(ContainSubstring("BASE_EXTRA_PACKAGES"), ContainSubstring(errNoNetwork.Error()))))
	g.Expect(cached.Key).To(Equal(two.Key))
	g.Expect(cached.Release()).To(Succeed())
}

// fakeSource serves an apt source: files by path. The SHA256 of what a Release file names as @ is put in.
func fakeSource(t *testing.T, files map[string]string) string {
	t.Helper()
	mux := http.NewServeMux()
	for name, text := range files {
		if strings.HasSuffix(name, "Release") {
			for other, content := range files {
				dir := strings.TrimSuffix(strings.TrimSuffix(name, "InRelease"), "Release")
				if below, ok := strings.CutPrefix(other, dir); ok {
					text = strings.ReplaceAll(text, "@ "+below+"\n", fmt.Sprintf(" %s %d %s\n", sumOf(content), len(content), below))
				}
			}
		}
		mux.HandleFunc("/"+name, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func packed(t *testing.T, text string) string {
	t.Helper()
	var buffer bytes.Buffer
	w := gzip.NewWriter(&buffer)
	_, err := w.Write([]byte(text))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	NewWithT(t).Expect(w.Close()).To(Succeed())
	return buffer.String()
}

func TestAptSource(t *testing.T) {
	g := NewWithT(t)
	index := "main/binary-" + debianArchitecture() + "/Packages"
	uri := fakeSource(t, map[string]string{
		"dists/backports/Release":                  "Origin: Somebody\nLabel: a, b\nCodename: backports\nSHA256:\n@ " + index + ".gz\n@ main/binary-all/Packages\n",
		"dists/backports/" + index + ".gz":         packed(t, "Package: glance-api\nVersion: 2:26-1\n\nPackage: glance-api\nVersion: 2:27-1\n"),
		"dists/backports/main/binary-all/Packages": "Package: python3-glance\nVersion: 2:27-1\n",
	})
	extra, err := FindExtra(t.Context(), fakeMirror(t, uri), source(uri, "backports", "main"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(extra.versions).To(Equal(map[string][]string{"glance-api": {"2:26-1", "2:27-1"}, "python3-glance": {"2:27-1"}}))
	g.Expect(extra.pin).To(Equal("release o=Somebody,n=backports"))
	g.Expect(extra.Used(map[string]string{"glance-api": "2:27-1"})).To(Equal([]string{"glance-api 2:27-1"}))
}

func TestFlatAptSource(t *testing.T) {
	g := NewWithT(t)
	uri := fakeSource(t, map[string]string{
		"here/Release": "Date: today\nSHA256:\n@ Packages\n", "here/Packages": "Package: glance-api\nVersion: 1\n",
	})
	extra, err := FindExtra(t.Context(), fakeMirror(t, uri), source(uri, "here/"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(extra.has("glance-api")).To(BeTrue())
	g.Expect(extra.pin).To(Equal(`origin "127.0.0.1"`))
}

func TestAptSourceThatIsNone(t *testing.T) {
	g := NewWithT(t)
	uri := fakeSource(t, map[string]string{
		"dists/unsigned/InRelease": "Origin: x\nSHA256:\n",
		"dists/sid/Release":        "Origin: x\nSHA256:\n 00 1 main/binary-riscv64/Packages.xz\n 00 1 contrib/binary-" + debianArchitecture() + "/Packages\n",
		"dists/empty/Release":      "Origin: x\nSHA256:\n@ main/binary-" + debianArchitecture() + "/Packages\n",
		"dists/empty/main/binary-" + debianArchitecture() + "/Packages": "",
	})
	for what, wrong := range map[string]struct {
		extra config.ExtraPackages
		why   string
	}{
		"no suite":        {source(uri, "trixie", "main"), "neither InRelease nor Release in dists/trixie"},
		"no component":    {source(uri, "sid", "non-free"), "suite sid has no component non-free"},
		"architecture":    {source(uri, "sid", "main"), "component main has packages for riscv64, not for " + debianArchitecture()},
		"a file is gone":  {source(uri, "sid", "contrib"), "Packages, which is not there"},
		"no packages":     {source(uri, "empty", "main"), "it has no packages for"},
		"no signature":    {source(uri, "unsigned", "main"), "its InRelease has no signature in it"},
		"no flat release": {source(uri, "./"), "neither InRelease nor Release in ."},
	} {
		t.Run(what, func(t *testing.T) {
			g := NewWithT(t)
			_, err := FindExtra(t.Context(), fakeMirror(t, uri), wrong.extra)
			g.Expect(err).To(MatchError(And(ContainSubstring(wrong.why), ContainSubstring("BASE_EXTRA_PACKAGES"))))
			g.Expect(err).To(MatchError(ErrSetting))
		})
	}
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	extra, err := FindExtra(t.Context(), fakeMirror(t, uri), source(server.URL, "sid", "main"))
	g.Expect(err).NotTo(HaveOccurred(), "nobody there: a cached root may do")
	g.Expect(extra.unknown).To(MatchError(ContainSubstring("connection refused")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = FindExtra(ctx, fakeMirror(t, uri), source(uri, "sid", "main"))
	g.Expect(err).To(MatchError(context.Canceled))
	g.Expect(err).NotTo(MatchError(ErrSetting))
}

func TestExtraPackagesFillWhatTheArchiveLacks(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	makeDeb(t, dir, "glance-api", "1", "all")
	libs := map[string]string{"glance": "# services: g-api\n# packages: glance-api\n"}
	archive := newFakeArchive(t, map[string]string{"trixie": "glance-api", "forky": "keystone"}, time.Now().Add(time.Hour))
	var notes []string
	cloud := pairCloud(t, &notes, libs)
	cache := &Cache{Dir: t.TempDir(), Builder: &fakeBuilder{}}
	g.Expect(cloud.checkPair(t.Context(), cache, fakeMirror(t, archive.URL), []string{"glance"})).
		To(MatchError(ContainSubstring("forky (2026.1) has no glance-api")))
	cloud.options.Config.TargetExtra = directory(dir)
	g.Expect(cloud.checkPair(t.Context(), cache, fakeMirror(t, archive.URL), []string{"glance"})).To(Succeed())
	g.Expect(cloud.want(config.Target).Extra).NotTo(BeNil())
	g.Expect(cloud.want(config.Base).Extra).To(BeNil())
}

// TestRealBuildWithExtraPackages: Debian's own package, with another version.
func TestRealBuildWithExtraPackages(t *testing.T) {
	g := NewWithT(t)
	cache := realBench(t)
	mirror, ok := cache.Archives.(*Mirror)
	g.Expect(ok).To(BeTrue())
	dir := t.TempDir()
	// Older than the archive's: a preference, not a competition.
	makeDeb(t, dir, "netbase", "1.0~local", "all")
	makeDeb(t, dir, "unwanted", "1", "all")
	build := func(from config.ExtraPackages) {
		t.Helper()
		extra, err := FindExtra(t.Context(), mirror, from)
		g.Expect(err).NotTo(HaveOccurred())
		root, err := cache.Ensure(t.Context(), Want{Suite: "bookworm", Packages: NodePackages(), Extra: extra}, func(line string) { t.Log(line) })
		g.Expect(err).NotTo(HaveOccurred())
		defer func() { g.Expect(root.Release()).To(Succeed()) }()
		g.Expect(extra.Used(root.Packages)).To(Equal([]string{"netbase 1.0~local"}))
		g.Expect(root.Packages).NotTo(HaveKey("unwanted"))
		for _, left := range []string{"etc/apt/sources.list.d/00-grenade-extra.list", "etc/apt/preferences.d/00-grenade-extra"} {
			g.Expect(filepath.Join(root.Path, left)).NotTo(BeAnExistingFile())
		}
		listed, err := os.ReadDir(filepath.Dir(root.Path))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(listed).To(HaveLen(3), "root, manifest, in-use")

		again, err := cache.Ensure(t.Context(), Want{Suite: "bookworm", Packages: NodePackages(), Extra: extra}, nil)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(again.New).To(BeFalse(), "the digest of what was built is that of what was asked")
		g.Expect(again.Release()).To(Succeed())
	}
	build(directory(dir))

	// The same packages as an apt source.
	extra, err := FindExtra(t.Context(), mirror, directory(dir))
	g.Expect(err).NotTo(HaveOccurred())
	repository := filepath.Join(t.TempDir(), "repository")
	g.Expect(extra.writeRepository(repository)).To(Succeed())
	build(source("file://"+repository, "./"))

	// And signed, over HTTP, its InRelease file beside the archive's.
	signed := source("", "./")
	signed.Source.Options = []string{"signed-by=" + sign(t, repository)}
	server := httptest.NewServer(http.FileServer(http.Dir(repository)))
	t.Cleanup(server.Close)
	signed.Source.URI = server.URL
	build(signed)
}

// sign turns a repository's Release into an InRelease, and returns the public key's file.
func sign(t *testing.T, repository string) (key string) {
	t.Helper()
	if _, err := osexec.LookPath("gpg"); err != nil {
		t.Skip("there is no gpg on this machine: sources with a signature were not tried")
	}
	g := NewWithT(t)
	home := t.TempDir()
	key = filepath.Join(home, "key.gpg")
	for _, args := range [][]string{
		{"--quick-generate-key", "grenade test", "rsa2048", "sign", "never"},
		{"--output", key, "--export"},
		{"--output", filepath.Join(repository, "InRelease"), "--clearsign", filepath.Join(repository, "Release")},
	} {
		command := osexec.CommandContext(t.Context(), "gpg", append([]string{"--batch", "--passphrase", "", "--pinentry-mode", "loopback"}, args...)...)
		command.Env = append(os.Environ(), "GNUPGHOME="+home)
		output, err := command.CombinedOutput()
		g.Expect(err).NotTo(HaveOccurred(), string(output))
	}
	t.Cleanup(func() {
		command := osexec.CommandContext(context.WithoutCancel(t.Context()), "gpgconf", "--kill", "all")
		command.Env = append(os.Environ(), "GNUPGHOME="+home)
		_ = command.Run()
	})
	g.Expect(os.Remove(filepath.Join(repository, "Release"))).To(Succeed())
	return key
}
