package debstack

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"grenade/framework/config"
)

func TestGuestsAndRootsShareADirectory(t *testing.T) {
	g := NewWithT(t)
	roots := newBench(t)
	guests := newBench(t)
	guests.Dir, guests.Of = roots.Dir, KindGuest

	root, guest := roots.ensure(t), guests.ensure(t)
	g.Expect(root.Kind).To(Equal(KindRoot))
	g.Expect(guest.Kind).To(Equal(KindGuest))
	g.Expect(guest.Path).To(HavePrefix(filepath.Join(roots.Dir, "guests")))
	g.Expect(guests.said()).To(ContainElement("guest of bookworm: no usable guest in the cache; one will be built"))
	g.Expect(roots.said()).To(ContainElement("bookworm: no usable root in the cache; one will be built"))

	g.Expect(guest.Release()).To(Succeed())
	_, err := guests.Clean(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(filepath.Join(root.Path, "usr/bin/true")).To(BeARegularFile(), "cleaning one leaves the other")
	g.Expect(root.Release()).To(Succeed())
	_, err = roots.Clean(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(roots.Dir).NotTo(BeADirectory())
}

func TestGuestIsMadeForACloudWithImagesOnly(t *testing.T) {
	g := NewWithT(t)
	cloud := &Cloud{options: CloudOptions{Config: &config.Config{}}}
	made, stop, err := cloud.ensureGuest(t.Context(), &Mirror{}, []string{"keystone", "placement"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(cloud.takeGuest(made)).To(Succeed())
	g.Expect(stop()).To(Succeed())
	g.Expect(cloud.guest).To(BeNil())
	g.Expect(cloud.writeGuest(t.TempDir())).To(Succeed())
}

func TestGuestThatNobodyTookIsLetGo(t *testing.T) {
	g := NewWithT(t)
	bench := newBench(t)
	cloud := &Cloud{options: CloudOptions{Config: &config.Config{CacheDir: bench.Dir}, Progress: bench.told}}
	entered, left := make(chan struct{}), make(chan struct{})
	bench.builder.during = func(ctx context.Context, _ BuildOrder) error {
		defer close(left)
		close(entered)
		<-ctx.Done()
		return ctx.Err()
	}
	_, stop := cloud.makeGuest(t.Context(), bench.Cache)
	<-entered
	g.Expect(stop()).To(Succeed())
	g.Expect(left).To(BeClosed(), "the building has ended")
	g.Expect(bench.content(t)).To(BeEmpty())
}

func TestGuestsFilesAreReadableInTheNode(t *testing.T) {
	if unix.Geteuid() != 0 {
		t.Skip("gives files to root")
	}
	g := NewWithT(t)
	files := t.TempDir()
	g.Expect(writeFile(filepath.Join(files, "vmlinuz"), "kernel")).To(Succeed())
	cloud := &Cloud{options: CloudOptions{Config: &config.Config{StackRoot: "/opt/stack"}}, guest: &Root{Path: files}}
	upper := t.TempDir()
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	g.Expect(cloud.writeGuest(upper)).To(Succeed())
	info, err := os.Stat(filepath.Join(upper, "opt/stack/guest/vmlinuz"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(info.Mode()).To(Equal(os.FileMode(0o444)))
	dir, err := os.Stat(filepath.Join(upper, "opt/stack/guest"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(dir.Mode().Perm()).To(Equal(os.FileMode(0o755)))
}

func TestRealGuest(t *testing.T) {
	g := NewWithT(t)
	cache := realGuestBench(t)
	want := Want{Release: "zed", Suite: "bookworm", Packages: GuestPackages()}
	first, err := cache.Ensure(t.Context(), want, func(line string) { t.Log(line) })
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(first.Packages).To(HaveKey("busybox-static"))
	var listed []string
	entries, err := os.ReadDir(first.Path)
	g.Expect(err).NotTo(HaveOccurred())
	for _, entry := range entries {
		listed = append(listed, entry.Name())
	}
	g.Expect(listed).To(ConsistOf("vmlinuz", "initrd", "disk.raw", "cmdline"))
	scratch, err := os.ReadDir(filepath.Dir(first.Path))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(scratch).To(HaveLen(3), "root, manifest and in-use: the packages are gone")
	g.Expect(first.Release()).To(Succeed())

	again, err := cache.Ensure(t.Context(), want, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again.New).To(BeFalse())
	g.Expect(again.Release()).To(Succeed())

	other := realGuestBench(t)
	second, err := other.Ensure(t.Context(), want, nil)
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { g.Expect(second.Release()).To(Succeed()) }()
	for _, name := range listed {
		one, err := os.ReadFile(filepath.Join(first.Path, name))
		g.Expect(err).NotTo(HaveOccurred())
		two, err := os.ReadFile(filepath.Join(second.Path, name))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(bytes.Equal(one, two)).To(BeTrue(), "%s is the same in both builds", name)
	}
}

// realGuestBench is a cache that really makes guests.
func realGuestBench(t *testing.T) *Cache {
	t.Helper()
	cache := realBench(t)
	unpack, ok := cache.Builder.(*Mmdebstrap)
	g := NewWithT(t)
	g.Expect(ok).To(BeTrue())
	builder, err := NewGuestBuilder(unpack)
	g.Expect(err).NotTo(HaveOccurred())
	cache.Of, cache.Builder = KindGuest, builder
	return cache
}
