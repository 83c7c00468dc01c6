package debstack

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

func needMounts(t *testing.T) {
	t.Helper()
	if unix.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
}

func TestRemovalDoesNotReachThroughMounts(t *testing.T) {
	needMounts(t)
	g := NewWithT(t)
	outside := t.TempDir()
	precious := filepath.Join(outside, "precious")
	g.Expect(writeFile(precious, "x")).To(Succeed())
	dir := filepath.Join(t.TempDir(), "half built")
	inner := filepath.Join(dir, "root/proc")
	g.Expect(os.MkdirAll(inner, 0o755)).To(Succeed())
	for range 2 { // stacked, as a build may leave it
		g.Expect(unix.Mount(outside, inner, "", unix.MS_BIND, "")).To(Succeed())
	}
	t.Cleanup(func() {
		for unix.Unmount(inner, unix.MNT_DETACH) == nil {
		}
	})

	g.Expect(removeTree(dir)).To(Succeed())
	g.Expect(dir).NotTo(BeADirectory())
	g.Expect(precious).To(BeARegularFile())
	left, err := mountsBelow(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left).To(BeEmpty())
}

func TestRemovalOfALinkedDirectory(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(writeFile(filepath.Join(dir, "precious"), "x")).To(Succeed())
	tree := filepath.Join(t.TempDir(), "tree")
	g.Expect(os.Mkdir(tree, 0o755)).To(Succeed())
	g.Expect(os.Symlink(dir, filepath.Join(tree, "link"))).To(Succeed())
	g.Expect(removeTree(tree)).To(Succeed())
	g.Expect(filepath.Join(dir, "precious")).To(BeARegularFile())
	g.Expect(removeTree(tree)).To(Succeed(), "it is gone already")
}

func TestMountPoints(t *testing.T) {
	g := NewWithT(t)
	table := []byte(`22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 0:5 / /cache/roots/x/root/proc rw,relatime - proc proc rw
31 30 0:5 / /cache/roots/x/root/proc/a\040b rw - tmpfs t rw
32 22 0:5 / /cache/roots/xy rw - tmpfs t rw
`)
	g.Expect(mountPoints(table, "/cache/roots/x")).To(Equal([]string{"/cache/roots/x/root/proc", "/cache/roots/x/root/proc/a b"}))
	g.Expect(mountPoints(table, "/cache/roots/xy")).To(Equal([]string{"/cache/roots/xy"}))
}

// A node that outlived its run still has the root as its lower layer, though nobody holds it any more.
func TestRootBelowAnOverlayIsInUse(t *testing.T) {
	needMounts(t)
	g := NewWithT(t)
	b := newBench(t)
	root := b.ensure(t)
	g.Expect(root.Release()).To(Succeed())
	layers := t.TempDir()
	for _, dir := range []string{"upper", "work", "merged"} {
		g.Expect(os.Mkdir(filepath.Join(layers, dir), 0o755)).To(Succeed())
	}
	merged := filepath.Join(layers, "merged")
	err := unix.Mount("overlay", merged, "overlay", 0,
		"lowerdir="+root.Path+",upperdir="+filepath.Join(layers, "upper")+",workdir="+filepath.Join(layers, "work"))
	if err != nil {
		t.Skipf("this file system cannot be a layer of an overlay: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(merged, unix.MNT_DETACH) })

	b.archives.become("bbbbbbbbbbbbbbbb", nil)
	now := b.ensure(t)
	g.Expect(b.content(t)).To(ConsistOf(root.Key, now.Key))

	g.Expect(unix.Unmount(merged, 0)).To(Succeed())
	g.Expect(now.Release()).To(Succeed())
	b.archives.become("cccccccccccccccc", nil)
	now = b.ensure(t)
	g.Expect(b.content(t)).To(Equal([]string{now.Key}))
}
