package debstack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"grenade/framework/exec"
)

// realBench is a cache that really builds: root, network, mmdebstrap and minutes.
func realBench(t *testing.T) *Cache {
	t.Helper()
	if os.Getenv("GRENADE_TEST_BUILD") == "" {
		t.Skip("really builds a root from a Debian mirror: set GRENADE_TEST_BUILD=1")
	}
	if unix.Geteuid() != 0 {
		t.Skip("building a root needs root")
	}
	mirror, err := FindMirror(t.Context(), os.Getenv(MirrorSetting), Host{})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return &Cache{Dir: t.TempDir(), Archives: mirror, Builder: &Mmdebstrap{Mirror: mirror}}
}

func TestRealBuild(t *testing.T) {
	g := NewWithT(t)
	cache := realBench(t)
	told := func(line string) { t.Log(line) }
	want := Want{Release: "2025.1", Suite: "trixie", Packages: append(NodePackages(), "memcached")}
	root, err := cache.Ensure(t.Context(), want, told)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(root.Packages).To(HaveKey("memcached"))
	for path, content := range map[string]string{
		"etc/machine-id":           "",
		"etc/resolv.conf":          "",
		"etc/hostname":             "grenade\n",
		"etc/sudoers.d/50_stack":   "GRENADE_RUN GRENADE_SCRIPT",
		"etc/passwd":               "stack:x:1000:1000::/opt/stack:/bin/bash",
		"var/lib/dpkg/status":      "Package: memcached",
		"usr/share/doc/sudo/x":     "-",
		"usr/sbin/policy-rc.d":     "-",
		"usr/share/man/man1/sh.gz": "-",
		"etc/systemd/system/multi-user.target.wants/memcached.service":        "-",
		"etc/systemd/system/multi-user.target.wants/systemd-networkd.service": "[Service]",
	} {
		path = filepath.Join(root.Path, path)
		if content == "-" {
			_, err := os.Lstat(path)
			g.Expect(err).To(MatchError(os.ErrNotExist))
			continue
		}
		// Absolute links lead out of the root, so they are followed by hand.
		if link, err := os.Readlink(path); err == nil && filepath.IsAbs(link) {
			path = filepath.Join(root.Path, link)
		}
		text, err := os.ReadFile(path)
		g.Expect(err).NotTo(HaveOccurred())
		if content == "" {
			g.Expect(text).To(BeEmpty(), path)
		}
		g.Expect(string(text)).To(ContainSubstring(content), path)
	}
	info, err := os.Stat(filepath.Join(root.Path, "opt/stack"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(info.Sys()).To(HaveField("Uid", BeEquivalentTo(StackUID)))
	g.Expect(root.Release()).To(Succeed())

	again, err := cache.Ensure(t.Context(), want, told)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again.New).To(BeFalse())
	g.Expect(again.Release()).To(Succeed())
	_, err = cache.Clean(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(cache.Dir).NotTo(BeADirectory())
}

func TestRealBuildOfAPackageThatIsNotThere(t *testing.T) {
	g := NewWithT(t)
	cache := realBench(t)
	_, err := cache.Ensure(t.Context(), Want{Suite: "trixie", Packages: []string{"no-such-package"}}, nil)
	g.Expect(err).To(MatchError(And(
		ContainSubstring("Unable to locate package no-such-package"), ContainSubstring(filepath.Join(cache.Dir, "logs/trixie-")))))
	g.Expect(err).To(MatchError(ErrEnvironment))
	logs, err := filepath.Glob(filepath.Join(cache.Dir, "logs/trixie-*.log"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(logs).To(HaveLen(1))
	expectNoBuild(t, cache)
}

func TestRealBuildThatIsCancelled(t *testing.T) {
	g := NewWithT(t)
	cache := realBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	var cancelled time.Time
	_, err := cache.Ensure(ctx, Want{Suite: "trixie", Packages: NodePackages()}, func(line string) {
		if cancelled.IsZero() && strings.Contains(line, "packages, ") { // apt and dpkg are at work
			cancelled = time.Now()
			cancel()
		}
	})
	g.Expect(err).To(MatchError(context.Canceled))
	g.Expect(time.Since(cancelled)).To(BeNumerically("<", 10*time.Second))
	expectNoBuild(t, cache)
}

// expectNoBuild says that no process, mount or directory of a build is left.
func expectNoBuild(t *testing.T, cache *Cache) {
	t.Helper()
	g := NewWithT(t)
	left, err := exec.FindCookie(t.Context(), buildCookie, "")
	g.Expect(err).NotTo(HaveOccurred())
	for _, process := range left {
		environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", process.PID))
		g.Expect(string(environ)).NotTo(ContainSubstring(cache.Dir), "%+v", process)
	}
	mounts, err := mountsBelow(cache.Dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(mounts).To(BeEmpty())
	leftovers, err := cache.leftovers()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(leftovers).To(BeEmpty())
}
