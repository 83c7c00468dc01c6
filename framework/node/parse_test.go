package node

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestOwnCgroups(t *testing.T) {
	for name, c := range map[string]struct {
		self, mounts string
		want         []string
	}{
		"a systemd host": {
			"0::/user.slice/user-0.slice/session-3.scope\n",
			"31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
			[]string{"/sys/fs/cgroup/user.slice/user-0.slice/session-3.scope"},
		},
		"a hybrid host": {
			"9:name=systemd:/job\n4:memory:/elsewhere\n0::/\n",
			"40 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
				"41 30 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n" +
				"42 30 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			[]string{"/sys/fs/cgroup/systemd/job", "/sys/fs/cgroup/unified"},
		},
		"a container that sees its part only": {
			"0::/docker/abc/work\n",
			"42 30 0:32 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
			[]string{"/sys/fs/cgroup/work"},
		},
		"mounted twice": {
			"0::/x\n",
			"42 30 0:32 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n43 30 0:32 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
			[]string{"/sys/fs/cgroup/x"},
		},
		"no control groups": {"", "42 30 0:32 / /proc rw - proc proc rw\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(cgroupDirs(c.self, c.mounts)).To(Equal(c.want))
		})
	}
}

func TestRoutes(t *testing.T) {
	g := NewWithT(t)
	found, err := routes([]byte("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"ve-x\t0000630A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found).To(Equal([]route{
		{"eth0", netip.MustParsePrefix("0.0.0.0/0")}, {"ve-x", netip.MustParsePrefix("10.99.0.0/24")},
	}))
	_, err = routes([]byte("heading\nshort line\n"))
	g.Expect(err).To(HaveOccurred())
}

func TestAddressTaken(t *testing.T) {
	g := NewWithT(t)
	g.Expect(AddressTaken(netip.MustParsePrefix("127.0.0.2/8"))).To(MatchError(ContainSubstring("interface lo has 127.0.0.1/8")))
	// TEST-NET-2 (RFC 5737): nobody's; a default route covers it and must not count.
	g.Expect(AddressTaken(netip.MustParsePrefix("198.51.100.2/24"))).To(Succeed())
}

func TestNotifications(t *testing.T) {
	for text, want := range map[string]notification{
		"STATUS=Container running.\nX_NSPAWN_LEADER_PID=4711": {leader: 4711, status: "Container running."},
		"READY=1\n":                {ready: true},
		"READY=0":                  {},
		"X_NSPAWN_LEADER_PID=1":    {},
		"X_NSPAWN_LEADER_PID=some": {},
		"UNKNOWN=x\nSTATUS=a=b":    {status: "a=b"},
		"":                         {},
	} {
		NewWithT(t).Expect(parseNotification(text)).To(Equal(want), text)
	}
}

func TestMounts(t *testing.T) {
	g := NewWithT(t)
	m, ok := parseMount(`36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`)
	g.Expect(ok).To(BeTrue())
	g.Expect(m).To(Equal(mount{root: "/mnt1", point: "/mnt 2", kind: "ext3", options: "rw,errors=continue"}))
	for _, bad := range []string{"", "36 35 98:0 / /x rw", "1 2 3 4 5 6 - ext3"} {
		_, ok = parseMount(bad)
		g.Expect(ok).To(BeFalse(), bad)
	}
	points, err := mountsUnder("/proc")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(points).To(ContainElement("/proc"))
	g.Expect(mountsUnder("/pro")).To(BeEmpty(), "the beginning of a name is not its directory")
}

func TestPutFile(t *testing.T) {
	g := NewWithT(t)
	lower, upper := t.TempDir(), t.TempDir()
	private := filepath.Join(lower, "etc/private")
	g.Expect(os.MkdirAll(private, 0o755)).To(Succeed())
	g.Expect(os.Chmod(private, os.ModeSetgid|0o750)).To(Succeed())
	g.Expect(os.Mkdir(filepath.Join(lower, "usr"), 0o755)).To(Succeed())
	g.Expect(os.Symlink("usr/lib", filepath.Join(lower, "lib"))).To(Succeed())

	g.Expect(PutFile(lower, upper, "/etc/private/new/file", []byte("one"), 0o440)).To(Succeed())
	g.Expect(PutFile(lower, upper, "/etc/private/new/file", []byte("two"), 0o604)).To(Succeed(), "what is there is replaced")
	g.Expect(os.ReadFile(filepath.Join(upper, "etc/private/new/file"))).To(BeEquivalentTo("two"))
	for path, mode := range map[string]os.FileMode{
		"etc/private": os.ModeDir | os.ModeSetgid | 0o750, "etc/private/new": os.ModeDir | 0o755, "etc/private/new/file": 0o604,
	} {
		info, err := os.Lstat(filepath.Join(upper, path))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(info.Mode()).To(Equal(mode), path)
	}

	g.Expect(PutLink(lower, upper, "/etc/private/new/file", "/dev/null")).To(Succeed())
	g.Expect(os.Readlink(filepath.Join(upper, "etc/private/new/file"))).To(Equal("/dev/null"))
	g.Expect(PutFile(lower, upper, "/etc/private/new/file", []byte("three"), 0o600)).To(Succeed(), "a link is replaced, not followed")
	g.Expect(os.ReadFile(filepath.Join(upper, "etc/private/new/file"))).To(BeEquivalentTo("three"))

	g.Expect(PutFile(lower, upper, "/lib/systemd/x", nil, 0o644)).To(MatchError(ContainSubstring("lib is not a directory")), "it would hide the link's target")
	g.Expect(PutFile(lower, upper, "../../outside", nil, 0o644)).To(Succeed())
	g.Expect(filepath.Join(upper, "outside")).To(BeAnExistingFile())
	g.Expect(PutFile(lower, upper, "/", nil, 0o644)).To(HaveOccurred())
}

func TestDisposalRefusesOtherDirectories(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600)).To(Succeed())
	_, err := DisposeLeftovers(t.Context(), dir)
	g.Expect(err).To(MatchError(ContainSubstring("not the directory of a node")))
	g.Expect(filepath.Join(dir, "thesis.tex")).To(BeAnExistingFile())
	for _, dir := range []string{"", "relative", "/a/../b", "/"} {
		_, err := DisposeLeftovers(t.Context(), dir)
		g.Expect(err).To(HaveOccurred(), dir)
	}
}

func TestStateIsWrittenWhole(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	want := state{Run: "r", Machine: "m", Address: netip.MustParsePrefix("10.98.0.2/24"), Cgroups: []string{"/x"}, Boot: bootID()}
	g.Expect(want.write(dir)).To(Succeed())
	g.Expect(want.write(dir)).To(Succeed())
	g.Expect(readState(dir)).To(Equal(want))
	entries, err := os.ReadDir(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(entries).To(HaveLen(1))
	g.Expect(want.alive()).To(BeFalse())
	g.Expect(want.processes()).To(BeEmpty())
}
