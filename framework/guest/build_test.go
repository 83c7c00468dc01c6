package guest

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestTheSamePackagesMakeTheSameFiles(t *testing.T) {
	g := NewWithT(t)
	var built [2]map[string][]byte
	for i, when := range []time.Time{time.Unix(1, 0), time.Unix(2_000_000_000, 0)} {
		built[i] = build(t, newFakePackages(t, when))
	}
	g.Expect(built[0]).To(HaveLen(4))
	for name := range built[0] {
		g.Expect(bytes.Equal(built[0][name], built[1][name])).To(BeTrue(), name)
	}
}

func TestAnotherPackageMakesAnotherInitrd(t *testing.T) {
	g := NewWithT(t)
	packages := newFakePackages(t, time.Now())
	before := build(t, packages)
	packages.write(t, "bin/busybox", []byte("Busybox"))
	g.Expect(build(t, packages)[Initrd]).NotTo(Equal(before[Initrd]))
}

func TestRAMDisk(t *testing.T) {
	g := NewWithT(t)
	system := content(t, build(t, newFakePackages(t, time.Now()))[Initrd])
	var names []string
	inodes := map[uint64]bool{}
	for _, each := range system {
		names = append(names, each.name)
		inodes[each.inode] = true
		g.Expect(each.time).To(BeZero(), each.name)
	}
	g.Expect(slices.IsSorted(names)).To(BeTrue(), "a directory comes before what is in it")
	g.Expect(inodes).To(HaveLen(len(system)), "no file is another's hard link")

	for name, expected := range map[string]unpacked{
		"init":              {mode: 0o100755, links: 1},
		"etc":               {mode: 0o040755, links: 2},
		"etc/inittab":       {mode: 0o100644, links: 1},
		"bin/sh":            {mode: 0o120777, links: 1, content: "busybox"},
		"bin/busybox":       {mode: 0o100755, links: 1, content: "busybox"},
		"srv/cgi-bin/state": {mode: 0o100755, links: 1},
		"lib/cgi":           {mode: 0o100644, links: 1},
		"proc":              {mode: 0o040755, links: 2},
	} {
		i := slices.Index(names, name)
		g.Expect(i).NotTo(Equal(-1), name)
		g.Expect([]uint64{system[i].mode, system[i].links}).To(Equal([]uint64{expected.mode, expected.links}), name)
		if expected.content != "" {
			g.Expect(system[i].content).To(Equal(expected.content))
		}
	}
}

func TestDriversAreLoadedInOrder(t *testing.T) {
	g := NewWithT(t)
	order := file(t, build(t, newFakePackages(t, time.Now())), "lib/modules/order")
	g.Expect(strings.Split(strings.TrimSpace(order), "\n")).To(Equal([]string{
		"virtio_ring.ko", "virtio.ko", "virtio_pci.ko", "virtio_blk.ko", "failover.ko", "virtio_net.ko csum=0 gso=0", "evdev.ko", "button.ko",
	}))
}

func TestTrixiesKernelHasSomeDriversBuiltInAndTheOthersCompressed(t *testing.T) {
	g := NewWithT(t)
	packages := newFakePackages(t, time.Now())
	packages.write(t, "lib/modules/6.1-test/modules.builtin", []byte(
		"kernel/drivers/virtio/virtio.ko\nkernel/drivers/virtio/virtio_ring.ko\nkernel/drivers/virtio/virtio-pci.ko\n"))
	for _, name := range []string{"virtio", "virtio_ring", "virtio_pci", "button"} {
		packages.remove(t, "lib/modules/6.1-test/kernel/"+name+".ko")
	}
	packages.write(t, "lib/modules/6.1-test/kernel/button.ko.xz", compressXZ(t, fakeModule(t, "")))
	built := build(t, packages)
	g.Expect(strings.Fields(file(t, built, "lib/modules/order"))).To(Equal([]string{
		"virtio_blk.ko", "failover.ko", "virtio_net.ko", "csum=0", "gso=0", "evdev.ko", "button.ko",
	}))
	g.Expect(file(t, built, "lib/modules/button.ko")).To(HavePrefix("\x7fELF"))
}

func TestPackagesThatMakeNoGuest(t *testing.T) {
	const modules = "lib/modules/6.1-test/"
	for name, test := range map[string]struct {
		breakThem func(*testing.T, *fakePackages)
		why       string
	}{
		"no kernel":   {func(t *testing.T, p *fakePackages) { t.Helper(); p.remove(t, "boot/vmlinuz-6.1-test") }, "0 kernels"},
		"two kernels": {func(t *testing.T, p *fakePackages) { t.Helper(); p.write(t, "boot/vmlinuz-6.2", nil) }, "2 kernels"},
		"no busybox":  {func(t *testing.T, p *fakePackages) { t.Helper(); p.remove(t, "bin/busybox") }, "neither bin/busybox nor usr/bin/busybox"},
		"no driver": {
			func(t *testing.T, p *fakePackages) { t.Helper(); p.remove(t, modules+"kernel/failover.ko") },
			"driver virtio_net: the kernel has no module failover",
		},
		"unknown compression": {
			func(t *testing.T, p *fakePackages) {
				t.Helper()
				p.remove(t, modules+"kernel/button.ko")
				p.write(t, modules+"kernel/button.ko.zst", nil)
			}, "button.ko.zst",
		},
		"half a driver": {
			func(t *testing.T, p *fakePackages) {
				t.Helper()
				p.write(t, modules+"kernel/button.ko", fakeModule(t, "")[:30])
			}, "module button: not a kernel module",
		},
		"no list of built-in drivers": {
			func(t *testing.T, p *fakePackages) { t.Helper(); p.remove(t, modules+"modules.builtin") }, "built-in drivers",
		},
	} {
		t.Run(name, func(t *testing.T) {
			packages := newFakePackages(t, time.Now())
			test.breakThem(t, packages)
			NewWithT(t).Expect(Build(packages.dir, t.TempDir())).To(MatchError(ContainSubstring(test.why)))
		})
	}
}

func TestEverySectorOfTheDiskIsAnother(t *testing.T) {
	g := NewWithT(t)
	disk := diskImage()
	g.Expect(disk).To(HaveLen(diskSectors * SectorSize))
	seen := map[string]bool{}
	for sector := range slices.Chunk(disk, SectorSize) {
		seen[string(sector)] = true
	}
	g.Expect(seen).To(HaveLen(diskSectors))
	g.Expect(disk[7*SectorSize : 8*SectorSize]).To(Equal(Sector(7)))
	g.Expect(string(Sector(7))).To(HavePrefix("grenade-guest sector 7\n"))
}

func TestRecipeHoldsTheScripts(t *testing.T) {
	g := NewWithT(t)
	recipe, err := Recipe()
	g.Expect(err).NotTo(HaveOccurred())
	for _, part := range []string{"files/init", "files/srv/cgi-bin/write", "oflag=seek_bytes", "csum=0", "panic=1"} {
		g.Expect(recipe).To(ContainSubstring(part))
	}
}

// build makes a guest and returns its files by name.
func build(t *testing.T, packages *fakePackages) map[string][]byte {
	t.Helper()
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(Build(packages.dir, dir)).To(Succeed())
	listed, err := os.ReadDir(dir)
	g.Expect(err).NotTo(HaveOccurred())
	built := map[string][]byte{}
	for _, entry := range listed {
		built[entry.Name()], err = os.ReadFile(filepath.Join(dir, entry.Name()))
		g.Expect(err).NotTo(HaveOccurred())
	}
	return built
}

// content unpacks a RAM disk.
func content(t *testing.T, initrd []byte) []unpacked {
	t.Helper()
	g := NewWithT(t)
	r, err := gzip.NewReader(bytes.NewReader(initrd))
	g.Expect(err).NotTo(HaveOccurred())
	archive, err := io.ReadAll(r)
	g.Expect(err).NotTo(HaveOccurred())
	return unpack(t, archive)
}

// file is one file of the RAM disk.
func file(t *testing.T, built map[string][]byte, name string) string {
	t.Helper()
	for _, each := range content(t, built[Initrd]) {
		if each.name == name {
			return each.content
		}
	}
	t.Fatalf("the RAM disk has no %s", name)
	return ""
}
