package host_test

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/host"
)

// machine is a System of the test's making.
type machine struct {
	tools       []string
	root        bool
	sudo        error
	disks       map[string]disk // by existing path
	fileSystems []string
	modules     []string // loadable
	addresses   []host.Address
	asked       []string
}

type disk struct{ free, id uint64 }

func (m *machine) LookPath(name string) error {
	if slices.Contains(m.tools, name) {
		return nil
	}
	return errors.New("not found")
}
func (m *machine) Root() bool { return m.root }
func (m *machine) PasswordlessSudo(context.Context) error {
	m.asked = append(m.asked, "sudo")
	return m.sudo
}
func (m *machine) FileSystems() ([]string, error)     { return m.fileSystems, nil }
func (m *machine) Addresses() ([]host.Address, error) { return m.addresses, nil }
func (m *machine) Free(path string) (uint64, uint64, error) {
	if d, ok := m.disks[path]; ok {
		return d.free, d.id, nil
	}
	return 0, 0, fs.ErrNotExist
}

func (m *machine) LoadModule(_ context.Context, name string) error {
	if !slices.Contains(m.modules, name) {
		return errors.New("module not found")
	}
	m.fileSystems = append(m.fileSystems, name)
	return nil
}

func good() *machine {
	return &machine{
		tools: []string{"ip", "nspawn"}, root: true,
		disks:       map[string]disk{"/": {50e9, 1}, "/data": {5e9, 2}},
		fileSystems: []string{"proc", "overlay", "cgroup2"},
		addresses:   []host.Address{{Interface: "lo", Prefix: netip.MustParsePrefix("127.0.0.1/8")}, {Interface: "eth0", Prefix: netip.MustParsePrefix("10.5.0.7/16")}},
	}
}

func needs() host.Needs {
	return host.Needs{
		Tools:         []host.Tool{{Name: "ip", Package: "iproute2"}, {Name: "nspawn", Package: "container"}},
		Space:         []host.Space{{Dir: "/opt/stack", Bytes: 3e9, For: "the node"}, {Dir: "/data/cache/x", Bytes: 4e9, For: "roots"}},
		Address:       netip.MustParsePrefix("10.99.0.2/24"),
		OwnInterfaces: []string{"grenade"},
	}
}

func TestPreflightPassesAGoodMachine(t *testing.T) {
	g := NewWithT(t)
	m := good()
	g.Expect(host.Preflight(t.Context(), m, needs())).To(BeEmpty())
	g.Expect(m.asked).To(BeEmpty(), "root needs no sudo")
}

func TestPreflightNamesEachLack(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*machine, *host.Needs)
		want   string
	}{
		{"a tool", func(m *machine, _ *host.Needs) { m.tools = []string{"ip"} },
			"not installed: nspawn; install with: apt-get install container"},
		{"tools of one package", func(_ *machine, n *host.Needs) {
			n.Tools = append(n.Tools, host.Tool{Name: "unshare", Package: "util-linux"}, host.Tool{Name: "nsenter", Package: "util-linux"})
		}, "not installed: unshare, nsenter; install with: apt-get install util-linux"},
		{"root", func(m *machine, _ *host.Needs) { m.root, m.sudo = false, errors.New("a password is required") },
			"run this as root, or allow this user passwordless sudo (sudo said: a password is required)"},
		{"space", func(_ *machine, n *host.Needs) { n.Space[1].Bytes = 6e9 },
			"only 5.0 GB free where /data/cache/x (roots, 6.0 GB) must be: make room or choose another directory"},
		{"space for both on one disk", func(_ *machine, n *host.Needs) {
			n.Space[0].Dir, n.Space[0].Bytes = "/data/stack", 2e9
		}, "only 5.0 GB free where /data/stack (the node, 2.0 GB) and /data/cache/x (roots, 4.0 GB) must be: make room or choose another directory"},
		{"overlayfs", func(m *machine, _ *host.Needs) { m.fileSystems = []string{"cgroup2"} },
			"this kernel has no overlayfs (modprobe overlay: module not found): use a kernel with CONFIG_OVERLAY_FS"},
		{"cgroup v2", func(m *machine, _ *host.Needs) { m.fileSystems = []string{"overlay", "cgroup"} },
			"this kernel has no cgroup v2, which the node's systemd needs: use a kernel with CONFIG_CGROUPS, version 4.5 or later"},
		{"a free network", func(_ *machine, n *host.Needs) { n.Address = netip.MustParsePrefix("10.5.3.2/24") },
			"the node's network 10.5.3.0/24 (NODE_ADDRESS) is taken: eth0 has 10.5.0.7/16; set NODE_ADDRESS to an address in a free network"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := NewWithT(t)
			m, n := good(), needs()
			c.change(m, &n)
			lacks := host.Preflight(t.Context(), m, n)
			g.Expect(lacks).To(HaveLen(1))
			g.Expect(lacks[0]).To(MatchError(c.want))
			g.Expect(host.IsLack(errors.Join(lacks...))).To(BeTrue())
		})
	}
}

func TestPreflightTellsAllAtOnce(t *testing.T) {
	g := NewWithT(t)
	g.Expect(host.Preflight(t.Context(), &machine{sudo: errors.New("no")}, needs())).To(HaveLen(6))
}

func TestPreflightAcceptsWhatCanBeHelped(t *testing.T) {
	g := NewWithT(t)
	m := good()
	m.root = false
	m.fileSystems, m.modules = []string{"cgroup2"}, []string{"overlay"}
	m.addresses = append(m.addresses, host.Address{Interface: "grenade", Prefix: netip.MustParsePrefix("10.99.0.1/24")})
	g.Expect(host.Preflight(t.Context(), m, needs())).To(BeEmpty())
	g.Expect(m.asked).To(Equal([]string{"sudo"}))
}

func TestRealMachine(t *testing.T) {
	g := NewWithT(t)
	machine := host.Real{}
	g.Expect(machine.LookPath("bash")).To(Succeed())
	g.Expect(machine.LookPath("no-such-program-anywhere")).NotTo(Succeed())

	dir := t.TempDir()
	free, id, err := machine.Free(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(free).To(BeNumerically(">", 0))
	_, same, err := machine.Free(filepath.Dir(dir))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(same).To(Equal(id))
	_, _, err = machine.Free(filepath.Join(dir, "not", "there"))
	g.Expect(err).To(MatchError(fs.ErrNotExist))

	fileSystems, err := machine.FileSystems()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(fileSystems).To(ContainElement("proc"))
	addresses, err := machine.Addresses()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(addresses).To(ContainElement(HaveField("Interface", "lo")))
}

func TestSpaceBelowAFileOrNowhereIsTheNearestDirectory(t *testing.T) {
	g := NewWithT(t)
	file := filepath.Join(t.TempDir(), "file")
	g.Expect(os.WriteFile(file, nil, 0o600)).To(Succeed())
	for _, dir := range []string{filepath.Join(file, "x"), "/no/such/place"} {
		lacks := host.Preflight(t.Context(), host.Real{}, host.Needs{Space: []host.Space{{Dir: dir, Bytes: 1 << 62, For: "nothing"}}})
		g.Expect(lacks).To(ContainElement(MatchError(HavePrefix("only "))), strings.Join([]string{dir}, ""))
	}
}
