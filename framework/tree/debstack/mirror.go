package debstack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"grenade/framework/exec"
)

// MirrorSetting is the name of the setting that names a Debian archive.
const MirrorSetting = "DEBIAN_MIRROR"

// ExpiredSetting is the name of the setting that accepts an archive which is not valid any more.
const ExpiredSetting = "ALLOW_EXPIRED_ARCHIVE"

// archiveTimeout is how long all candidates together may take to answer before a cached root is used instead.
const archiveTimeout = 5 * time.Second

// Host is what FindMirror needs to know of the machine it runs on.
type Host struct {
	// Root is where the host's own files are; default "/".
	Root string
	// Output runs a command on the host and returns its standard output; default: exec.Output with a limit of 10 s.
	Output func(ctx context.Context, args ...string) ([]byte, error)
}

func (h Host) withDefaults() Host {
	if h.Root == "" {
		h.Root = "/"
	}
	if h.Output == nil {
		h.Output = func(ctx context.Context, args ...string) ([]byte, error) {
			return exec.Output(ctx, exec.Command{Args: args, Timeout: 10 * time.Second})
		}
	}
	return h
}

// Mirror is a source of Debian packages: the archive that the setting names, or the ones that the host's apt
// configuration names.
type Mirror struct {
	candidates []string // in order of preference, without a trailing slash
	configured bool     // by the setting: then nothing but its Release file is asked of it
	proxies    proxies
	client     *http.Client
	arch       string
	timeout    time.Duration
	// AllowExpired accepts a state of the archive whose Release file says that it is too old: that of a suite which
	// nobody updates any more, or updates too seldom.
	AllowExpired bool
}

// FindMirror says where Debian packages come from: from mirror (the value of the setting DEBIAN_MIRROR) if it is not empty,
// else from the archives with component main in the host's own apt configuration, in either of its formats, with its
// proxies. It reads files and runs apt-get and apt-config, but does not use the network.
//
// The error belongs to ErrSetting: the setting is no usable URI, or it is empty and the host names no Debian archive.
func FindMirror(ctx context.Context, mirror string, host Host) (*Mirror, error) {
	host = host.withDefaults()
	m := &Mirror{arch: debianArchitecture(), timeout: archiveTimeout}
	if mirror != "" {
		uri, err := checkURI(mirror)
		if err != nil {
			return nil, setting(fmt.Errorf("%s: %w", MirrorSetting, err))
		}
		m.candidates, m.configured = []string{uri}, true
	} else {
		candidates, err := hostCandidates(ctx, host)
		if err != nil {
			return nil, err
		}
		m.candidates = candidates
	}
	if err := m.useProxies(ctx, host); err != nil {
		return nil, err
	}
	m.client = &http.Client{Transport: &http.Transport{
		Proxy: m.proxies.forRequest,
		// One short exchange per suite: an idle connection would only outlive its use.
		DisableKeepAlives: true,
	}}
	return m, nil
}

func (m *Mirror) useProxies(ctx context.Context, host Host) error {
	dump, err := host.Output(ctx, "apt-config", "dump")
	if err != nil {
		if m.configured {
			return nil // The setting makes do without apt on the host; the environment may still name a proxy.
		}
		return setting(fmt.Errorf("the host's apt configuration cannot be read, set %s to a Debian mirror: %w", MirrorSetting, err))
	}
	detect := func(ctx context.Context, command, uri string) (string, error) {
		answer, err := host.Output(ctx, command, uri)
		return string(answer), err
	}
	m.proxies, err = findProxies(ctx, dump, detect, m.candidates)
	if err != nil {
		return environment(err)
	}
	return nil
}

// Archive asks the mirror for the state of a suite, at most 5 s long. The first candidate that serves the suite wins,
// so a third-party repository of the host that happens to have a component main is passed over.
// The error belongs to ErrEnvironment and names each URI that was tried, as configured, and what it answered.
func (m *Mirror) Archive(ctx context.Context, suite string) (Archive, error) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	type answer struct {
		archive Archive
		err     error
	}
	// All are asked at once: one that drops packets must not eat the time of the next.
	answers := make([]chan answer, len(m.candidates))
	for i, uri := range m.candidates {
		answers[i] = make(chan answer, 1)
		go func() {
			archive, err := m.ask(ctx, uri, suite)
			answers[i] <- answer{archive, err}
		}()
	}
	var tried []string
	for i, uri := range m.candidates {
		got := <-answers[i]
		if got.err == nil {
			return got.archive, nil
		}
		if errors.Is(got.err, context.DeadlineExceeded) {
			got.err = fmt.Errorf("no answer within %s", m.timeout)
		}
		tried = append(tried, fmt.Sprintf("%s (%v)", redacted(uri), got.err))
	}
	origin := "the host's apt configuration names"
	if m.configured {
		origin = MirrorSetting + " names"
	}
	return Archive{}, environment(fmt.Errorf("no Debian archive gives suite %s; %s: %s; check the network, or set %s to another mirror",
		suite, origin, strings.Join(tried, ", "), MirrorSetting))
}

func (m *Mirror) ask(ctx context.Context, uri, suite string) (Archive, error) {
	release, err := fetchRelease(ctx, m.client, uri, suite)
	if err != nil {
		return Archive{}, err
	}
	if !m.configured && release.origin != "Debian" {
		return Archive{}, fmt.Errorf("its origin is %q, not Debian", release.origin)
	}
	if release.codename != suite && release.suite != suite {
		return Archive{}, fmt.Errorf("it gives codename %q, suite %q there", release.codename, release.suite)
	}
	digest, err := release.digest(m.arch)
	if err != nil {
		return Archive{}, err
	}
	archive := Archive{Mirror: uri, Suite: suite, Digest: digest, indexes: release.indexes(m.arch)}
	if age := time.Since(release.validUntil); !release.validUntil.IsZero() && age > 0 {
		if !m.AllowExpired {
			return Archive{}, fmt.Errorf("its Release file expired %s ago, set %s=True to use it all the same", roundAge(age), ExpiredSetting)
		}
		archive.Expired = age
	}
	return archive, nil
}

// String names the candidates as configured, without passwords.
func (m *Mirror) String() string {
	names := make([]string, len(m.candidates))
	for i, uri := range m.candidates {
		names[i] = redacted(uri)
	}
	return strings.Join(names, ", ")
}

// hostCandidates lists the archives of the host's apt configuration: those of the host's own codename first.
func hostCandidates(ctx context.Context, host Host) ([]string, error) {
	id, codename := osRelease(host.Root)
	if id == "ubuntu" {
		return nil, setting(fmt.Errorf("this host is Ubuntu, whose apt configuration names no Debian archive: set %s to a Debian mirror (http://<host>/debian)", MirrorSetting))
	}
	// What the host has of package lists does not matter, and reading it takes apt half a second; nor shall our question
	// leave a cache file behind.
	listing, err := host.Output(ctx, "apt-get", "-oDir::State::lists=/nonexistent/", "-oDir::Cache::pkgcache=", "-oDir::Cache::srcpkgcache=",
		"--no-release-info", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)", "Created-By: Packages")
	if err != nil {
		return nil, setting(fmt.Errorf("the host's apt configuration cannot be read, set %s to a Debian mirror: %w", MirrorSetting, err))
	}
	var own, other, passed []string
	lines := bufio.NewScanner(bytes.NewReader(listing))
	for lines.Scan() {
		part := strings.Split(lines.Text(), "|")
		if len(part) != 3 || part[2] != "main" {
			continue
		}
		uris, err := resolve(host.Root, part[0])
		if err != nil {
			passed = append(passed, err.Error())
			continue
		}
		if part[1] == codename {
			own = append(own, uris...)
		} else {
			other = append(other, uris...)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("apt-get indextargets: %w", err)
	}
	candidates := unique(append(own, other...))
	if len(candidates) == 0 {
		err := fmt.Errorf("the host's apt configuration names no archive with component main: set %s to a Debian mirror (http://<host>/debian)", MirrorSetting)
		if len(passed) > 0 {
			err = fmt.Errorf("%w; passed over: %s", err, strings.Join(unique(passed), ", "))
		}
		return nil, setting(err)
	}
	return candidates, nil
}

// resolve turns a URI of apt's configuration into those of archives. Debian's cloud images name a list of mirrors in
// a file (apt-transport-mirror(1)); each of its lines begins with a URI.
func resolve(root, uri string) ([]string, error) {
	list, isList := strings.CutPrefix(strings.TrimSuffix(uri, "/"), "mirror+file:")
	if !isList {
		checked, err := checkURI(uri)
		if err != nil {
			return nil, err
		}
		return []string{checked}, nil
	}
	text, err := os.ReadFile(filepath.Join(root, strings.TrimPrefix(list, "//")))
	if err != nil {
		return nil, fmt.Errorf("mirror list: %w", err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		part := strings.Fields(line)
		if len(part) == 0 || strings.HasPrefix(part[0], "#") {
			continue
		}
		checked, err := checkURI(part[0])
		if err != nil {
			return nil, fmt.Errorf("mirror list %s: %w", list, err)
		}
		found = append(found, checked)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("mirror list %s is empty", list)
	}
	return found, nil
}

// checkURI accepts what both mmdebstrap and fetchRelease can read from, and cuts a trailing slash.
func checkURI(uri string) (string, error) {
	parsed, err := parseURI(uri)
	if err != nil {
		return "", err
	}
	switch parsed.Scheme {
	case "http", "https":
		if parsed.Host == "" {
			return "", fmt.Errorf("%s names no host", redacted(uri))
		}
	case "file", "copy":
		if !strings.HasPrefix(parsed.Path, "/") || parsed.Host != "" {
			return "", fmt.Errorf("%s names no absolute path", uri)
		}
	default:
		return "", fmt.Errorf("%s cannot be used: the scheme must be http, https, file or copy", redacted(uri))
	}
	return strings.TrimRight(uri, "/"), nil
}

// parseURI is url.Parse with an error that does not repeat the URI, which may hold a password.
func parseURI(uri string) (*url.URL, error) {
	parsed, err := url.Parse(uri)
	if err == nil {
		return parsed, nil
	}
	if inner := new(url.Error); errors.As(err, &inner) {
		err = inner.Err
	}
	return nil, fmt.Errorf("not a URI: %w", err)
}

// redacted is a URI without its password: errors and logs may be published.
func redacted(uri string) string {
	parsed, err := url.Parse(uri)
	if err != nil {
		return "(no URI)"
	}
	return parsed.Redacted()
}

// osRelease reads ID and VERSION_CODENAME (os-release(5)); what is missing is empty.
func osRelease(root string) (id, codename string) {
	text, err := os.ReadFile(filepath.Join(root, "etc/os-release"))
	if err != nil {
		return "", ""
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, `"'`)
		switch name {
		case "ID":
			id = value
		case "VERSION_CODENAME":
			codename = value
		}
	}
	return id, codename
}

// debianArchitecture is Debian's name for the architecture that this program was built for.
func debianArchitecture() string {
	switch runtime.GOARCH {
	case "386":
		return "i386"
	case "ppc64le":
		return "ppc64el"
	default:
		return runtime.GOARCH
	}
}
