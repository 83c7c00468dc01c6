package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"
)

func TestLeftSinceNamesWhatCame(t *testing.T) {
	g := NewWithT(t)
	before := Snapshot{Links: []string{"lo"}, Mounts: []string{"/tmp tmpfs"}, Processes: []string{"a"}}
	now := Snapshot{
		Links: []string{"lo", "ve-grenade"}, Mounts: []string{"/tmp tmpfs", "/tmp tmpfs"},
		Routes: []string{"ve-grenade 0A63 0 00FF"}, Cgroups: []string{"/sys/fs/cgroup/payload"},
	}
	g.Expect(now.LeftSince(before)).To(Equal([]string{
		"mount: /tmp tmpfs", "link: ve-grenade", "route: ve-grenade 0A63 0 00FF", "cgroup: /sys/fs/cgroup/payload",
	}))
	g.Expect(before.LeftSince(now)).To(Equal([]string{"process: a"}))
	g.Expect(now.LeftSince(now)).To(BeEmpty())
}

func TestSnapshotSurvivesItsFile(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "before.json")
	now, err := TakeSnapshot()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(now.Links).To(ContainElement("lo"))
	g.Expect(now.Mounts).NotTo(BeEmpty())
	g.Expect(SaveSnapshot(path, now)).To(Succeed())
	g.Expect(LoadSnapshot(path)).To(Equal(now))
}

func TestSnapshotSeesAProcessThatCarriesACookie(t *testing.T) {
	g := NewWithT(t)
	before, err := TakeSnapshot()
	g.Expect(err).NotTo(HaveOccurred())
	run := "left-" + filepath.Base(t.TempDir())
	child := exec.CommandContext(t.Context(), "sleep", "60")
	child.Env = append(os.Environ(), RunCookie+"="+run)
	g.Expect(child.Start()).To(Succeed())
	t.Cleanup(func() { _ = child.Process.Kill(); _ = child.Wait() })

	// Until it has called exec it is a copy of this process.
	g.Eventually(func() ([]Process, error) { return CarriersOf(run) }).Should(HaveLen(1))
	now, err := TakeSnapshot()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(now.LeftSince(before)).To(ContainElement(ContainSubstring("sleep 60")))
}

func TestSnapshotSeesAMount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
	g := NewWithT(t)
	before, err := TakeSnapshot()
	g.Expect(err).NotTo(HaveOccurred())
	dir := t.TempDir()
	g.Expect(syscall.Mount("none", dir, "tmpfs", 0, "size=4k")).To(Succeed())
	t.Cleanup(func() { g.Expect(syscall.Unmount(dir, 0)).To(Succeed()) })
	now, err := TakeSnapshot()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(now.LeftSince(before)).To(ContainElement("mount: " + dir + " tmpfs"))
}

func TestMountinfoWithOptionalFields(t *testing.T) {
	g := NewWithT(t)
	g.Expect(parseMountinfo([]byte("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw\n"))).
		To(Equal([]string{"/mnt2 ext3"}))
	_, err := parseMountinfo([]byte("36 35\n"))
	g.Expect(err).To(HaveOccurred())
}

func TestStatOfAProcessWithAStrangeName(t *testing.T) {
	g := NewWithT(t)
	process, err := parseStat("7 (a) b (c) S 1 7 6 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 0 0\n")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(process).To(Equal(Process{PID: 7, Parent: 1, Group: 7, Session: 6, Start: 12345, Comm: "a) b (c", State: 'S'}))
}

func TestWhatIsLeftIsAnError(t *testing.T) {
	g := NewWithT(t)
	before := Snapshot{Links: []string{"lo"}}
	g.Expect(before.NothingLeftSince(before)).To(Succeed())
	g.Expect(Snapshot{Links: []string{"lo", "ve-x"}}.NothingLeftSince(before)).To(MatchError(ContainSubstring("link: ve-x")))
}
