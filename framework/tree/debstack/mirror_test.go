package debstack

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// fakeHost stands for the machine's apt and os-release.
type fakeHost struct {
	id      string            // default debian
	targets string            // what apt-get indextargets prints
	dump    string            // what apt-config dump prints
	files   map[string]string // below /
	detect  string            // what a proxy detection command prints
	broken  bool              // there is no apt
}

func (f fakeHost) host(t *testing.T) Host {
	t.Helper()
	root := t.TempDir()
	id := f.id
	if id == "" {
		id = "debian"
	}
	files := map[string]string{"etc/os-release": "PRETTY_NAME=\"x\"\nID=" + id + "\nVERSION_CODENAME=bookworm\n"}
	for path, text := range f.files {
		files[path] = text
	}
	for path, text := range files {
		if err := writeFile(filepath.Join(root, path), text); err != nil {
			t.Fatal(err)
		}
	}
	return Host{Root: root, Output: func(_ context.Context, args ...string) ([]byte, error) {
		if f.broken {
			return nil, errors.New("executable file not found")
		}
		switch {
		case args[0] == "apt-config":
			return []byte(f.dump), nil
		case strings.HasPrefix(args[0], "apt-get"):
			return []byte(f.targets), nil
		default:
			return []byte(f.detect), nil
		}
	}}
}

func TestMirrorCandidatesOfTheHost(t *testing.T) {
	for name, test := range map[string]struct {
		host fakeHost
		want string
	}{
		"own codename first, security behind": {fakeHost{targets: "http://security.invalid/debian-security/|bookworm-security|main\n" +
			"http://one.invalid/debian/|bookworm|main\nhttp://one.invalid/debian/|bookworm|contrib\nhttp://one.invalid/debian/|bookworm-updates|main\n"},
			"http://one.invalid/debian, http://security.invalid/debian-security"},
		"component main only": {fakeHost{targets: "https://packages.invalid/apt/|cloud-sdk|stable\nhttp://one.invalid/debian/|bookworm|main\n"},
			"http://one.invalid/debian"},
		"suite named stable": {fakeHost{targets: "http://one.invalid/debian/|stable|main\n"}, "http://one.invalid/debian"},
		"password is not shown": {fakeHost{targets: "http://me:secret@one.invalid/debian/|bookworm|main\n"},
			"http://me:xxxxx@one.invalid/debian"},
		"directory": {fakeHost{targets: "file:/srv/mirror/|bookworm|main\ncopy:/srv/other/|bookworm|main\n"}, "file:/srv/mirror, copy:/srv/other"},
		"mirror list of the cloud images": {fakeHost{targets: "mirror+file:/etc/apt/mirrors/debian.list/|bookworm|main\n",
			files: map[string]string{"etc/apt/mirrors/debian.list": "# ours\nhttps://one.invalid/debian\npriority:2\nhttp://two.invalid/debian/\tpriority:3\n"}},
			""},
		"mirror list": {fakeHost{targets: "mirror+file:/etc/apt/mirrors/debian.list/|bookworm|main\n",
			files: map[string]string{"etc/apt/mirrors/debian.list": "# ours\nhttps://one.invalid/debian\n\nhttp://two.invalid/debian/\tpriority:3\n"}},
			"https://one.invalid/debian, http://two.invalid/debian"},
		"cdrom is passed over": {fakeHost{targets: "cdrom://Debian 12/|bookworm|main\nhttp://one.invalid/debian/|bookworm|main\n"}, "http://one.invalid/debian"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			mirror, err := FindMirror(t.Context(), "", test.host.host(t))
			if test.want == "" {
				g.Expect(err).To(MatchError(ErrSetting))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(mirror.String()).To(Equal(test.want))
		})
	}
}

func TestMirrorThatCannotBeFound(t *testing.T) {
	for name, test := range map[string]struct {
		setting string
		host    fakeHost
		want    string
	}{
		"Ubuntu":          {"", fakeHost{id: "ubuntu", targets: "http://archive.invalid/ubuntu/|noble|main\n"}, "Ubuntu"},
		"no sources":      {"", fakeHost{}, "no archive with component main"},
		"cdrom only":      {"", fakeHost{targets: "cdrom://Debian 12/|bookworm|main\n"}, "passed over"},
		"no apt":          {"", fakeHost{broken: true}, "executable file not found"},
		"no URI":          {"debian", fakeHost{}, "the scheme must be"},
		"other scheme":    {"ftp://one.invalid/debian", fakeHost{}, "the scheme must be"},
		"no host":         {"http:///debian", fakeHost{}, "names no host"},
		"relative file":   {"file:mirror", fakeHost{}, "no absolute path"},
		"file on a host":  {"file://srv/mirror", fakeHost{}, "no absolute path"},
		"broken encoding": {"http://one.invalid/%zz", fakeHost{}, "not a URI"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := FindMirror(t.Context(), test.setting, test.host.host(t))
			g.Expect(err).To(MatchError(And(ContainSubstring(MirrorSetting), ContainSubstring(test.want))))
			g.Expect(err).To(MatchError(ErrSetting))
		})
	}
}

func TestSettingWinsOverTheHost(t *testing.T) {
	g := NewWithT(t)
	mirror, err := FindMirror(t.Context(), "http://mine.invalid/debian/", fakeHost{id: "ubuntu"}.host(t))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(mirror.String()).To(Equal("http://mine.invalid/debian"))
	_, err = FindMirror(t.Context(), "http://mine.invalid/debian/", fakeHost{broken: true}.host(t))
	g.Expect(err).NotTo(HaveOccurred(), "apt is not needed for it")
}

// A repository that is not Debian's may have a component main and even a suite of that name.
func TestThirdPartyRepositoryIsPassedOver(t *testing.T) {
	g := NewWithT(t)
	serve := func(text string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }))
		t.Cleanup(server.Close)
		return server.URL
	}
	debian := releaseText("abcd", "1", "d", "s")
	theirs := serve(strings.Replace(debian, "Origin: Debian", "Origin: Somebody", 1))
	ours := serve(debian)
	host := fakeHost{targets: theirs + "/|bookworm|main\n" + ours + "/|bookworm|main\n"}

	mirror, err := FindMirror(t.Context(), "", host.host(t))
	g.Expect(err).NotTo(HaveOccurred())
	archive, err := mirror.Archive(t.Context(), "bookworm")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(archive.Mirror).To(Equal(ours))

	mirror, err = FindMirror(t.Context(), "", fakeHost{targets: theirs + "/|bookworm|main\n"}.host(t))
	g.Expect(err).NotTo(HaveOccurred())
	_, err = mirror.Archive(t.Context(), "bookworm")
	g.Expect(err).To(MatchError(And(ContainSubstring(`origin is "Somebody"`), ContainSubstring(MirrorSetting))))

	// Named by the setting, it is what the user wants.
	mirror, err = FindMirror(t.Context(), theirs, host.host(t))
	g.Expect(err).NotTo(HaveOccurred())
	_, err = mirror.Archive(t.Context(), "bookworm")
	g.Expect(err).NotTo(HaveOccurred())
}

func TestProxiesOfApt(t *testing.T) {
	dump := `APT "";
Acquire::http::Proxy "http://proxy.invalid:3128";
Acquire::http::Proxy::direct.invalid "DIRECT";
Acquire::https::Proxy::secure.invalid "http://other.invalid:8080";
Acquire::http::Timeout "30";
Acquire::http::Proxy-Auto-Detect "/usr/bin/find-proxy";
`
	g := NewWithT(t)
	mirror, err := FindMirror(t.Context(), "http://detected.invalid/debian", fakeHost{dump: dump, detect: "http://found.invalid:1\n"}.host(t))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(mirror.proxies.aptOptions()).To(Equal([]string{
		`Acquire::http::Proxy "http://proxy.invalid:3128"`,
		`Acquire::http::Proxy::detected.invalid "http://found.invalid:1"`,
		`Acquire::http::Proxy::direct.invalid "DIRECT"`,
		`Acquire::https::Proxy::secure.invalid "http://other.invalid:8080"`,
	}))
	for target, want := range map[string]string{
		"http://any.invalid/":      "http://proxy.invalid:3128",
		"http://DIRECT.invalid/":   "",
		"http://detected.invalid/": "http://found.invalid:1",
		"https://secure.invalid/":  "http://other.invalid:8080",
		"https://any.invalid/":     "http://proxy.invalid:3128",
	} {
		parsed, err := url.Parse(target)
		g.Expect(err).NotTo(HaveOccurred())
		proxy, err := mirror.proxies.forRequest(&http.Request{URL: parsed})
		g.Expect(err).NotTo(HaveOccurred())
		if want == "" {
			g.Expect(proxy).To(BeNil(), target)
		} else {
			g.Expect(proxy).To(HaveField("String()", want), target)
		}
	}
}

// The archive is really asked through the proxy that apt would use.
func TestArchiveIsAskedThroughTheProxy(t *testing.T) {
	g := NewWithT(t)
	asked := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.String()
		_, _ = w.Write([]byte(releaseText("abcd", "1", "d", "s")))
	}))
	defer proxy.Close()
	host := fakeHost{dump: `Acquire::http::Proxy "` + proxy.URL + `";` + "\n"}
	mirror, err := FindMirror(t.Context(), "http://behind.invalid/debian", host.host(t))
	g.Expect(err).NotTo(HaveOccurred())
	_, err = mirror.Archive(t.Context(), "bookworm")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(<-asked).To(Equal("http://behind.invalid/debian/dists/bookworm/InRelease"))
}

// Both formats of apt's sources are read by apt itself, here the real one.
func TestRealAptSources(t *testing.T) {
	if _, err := osexec.LookPath("apt-get"); err != nil {
		t.Skip("this host has no apt-get")
	}
	for name, text := range map[string]string{
		"sources.list":   "# comment\ndeb [arch=amd64] http://one.invalid/debian bookworm main contrib\ndeb-src http://src.invalid/debian bookworm main\ndeb http://flat.invalid/ ./\n",
		"debian.sources": "Types: deb deb-src\nURIs: http://one.invalid/debian\nSuites: bookworm bookworm-updates\nComponents: main contrib\n\nEnabled: no\nTypes: deb\nURIs: http://off.invalid/\nSuites: bookworm\nComponents: main\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			host := fakeHost{}.host(t)
			parts := filepath.Join(host.Root, "etc/apt/sources.list.d")
			list := filepath.Join(host.Root, "etc/apt/sources.list")
			g.Expect(os.MkdirAll(parts, 0o755)).To(Succeed())
			path := list
			if name != "sources.list" {
				path = filepath.Join(parts, name)
			}
			g.Expect(writeFile(path, text)).To(Succeed())
			run := Host{}.withDefaults().Output
			host.Output = func(ctx context.Context, args ...string) ([]byte, error) {
				args = append(args[:1:1], append([]string{"-oDir::Etc::sourcelist=" + list, "-oDir::Etc::sourceparts=" + parts}, args[1:]...)...)
				return run(ctx, args...)
			}
			mirror, err := FindMirror(t.Context(), "", host)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(mirror.String()).To(Equal("http://one.invalid/debian"))
		})
	}
}
