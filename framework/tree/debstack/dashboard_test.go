package debstack

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// What a package's configuration asks of manage.py while a root is built: to compress, which fails now and then, is
// asked for again. Afterwards the file is the package's.
func TestCompressingTheDashboardIsTriedAgain(t *testing.T) {
	if unix.Geteuid() != 0 {
		t.Skip("installing a package, if only into a directory, needs root")
	}
	g := NewWithT(t)
	root, work := t.TempDir(), t.TempDir()
	write := func(path, text string, mode os.FileMode) {
		g.Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(path, []byte(text), mode)).To(Succeed())
	}
	run := func(args ...string) (string, error) {
		said, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
		return string(said), err
	}
	must := func(args ...string) {
		said, err := run(args...)
		g.ExpectWithOffset(1, err).NotTo(HaveOccurred(), said)
	}
	program := "usr/share/openstack-dashboard/manage.py"
	packaged := `#!/bin/sh
echo "$@" >>"$CALLS"
[ "$(grep -cx "$1 --force" "$CALLS")" -gt "$FAILURES" ]
`
	write(root+"/var/lib/dpkg/status", "", 0o644)
	write(work+"/hook.sh", dashboardHook, 0o755)
	write(work+"/package/"+program, packaged, 0o755)
	write(work+"/package/DEBIAN/control", "Package: openstack-dashboard\nVersion: 1\nArchitecture: all\nMaintainer: a fake <fake@example.org>\nDescription: fake\n", 0o644)
	must("dpkg-deb", "--build", work+"/package", work+"/package.deb")

	must("sh", work+"/hook.sh", root, "try-again")
	must("dpkg", "--root", root, "--log=/dev/null", "--install", work+"/package.deb")
	for _, c := range []struct {
		what     string
		failures string
		calls    string
		succeeds bool
	}{
		{"compress", "0", "compress --force\n", true},
		{"compress", "2", "compress --force\ncompress --force\ncompress --force\n", true},
		{"compress", "5", "compress --force\ncompress --force\ncompress --force\ncompress --force\ncompress --force\n", false},
		{"collectstatic", "1", "collectstatic --force\n", false},
	} {
		calls := filepath.Join(t.TempDir(), "calls")
		said, err := run("env", "CALLS="+calls, "FAILURES="+c.failures, filepath.Join(root, program), c.what, "--force")
		g.Expect(err == nil).To(Equal(c.succeeds), "%+v: %s", c, said)
		g.Expect(os.ReadFile(calls)).To(BeEquivalentTo(c.calls))
	}

	// So does the package's own configuration (dh_python3).
	must("python3", "-m", "py_compile", filepath.Join(root, program))

	must("sh", work+"/hook.sh", root, "as-packaged")
	g.Expect(os.ReadFile(filepath.Join(root, program))).To(BeEquivalentTo(packaged))
	g.Expect(os.ReadDir(filepath.Dir(filepath.Join(root, program)))).To(HaveLen(1))
	g.Expect(os.ReadFile(root + "/var/lib/dpkg/diversions")).To(BeEmpty())
	must("dpkg", "--root", root, "--log=/dev/null", "--verify", "openstack-dashboard")
}

func TestARootWithoutTheDashboardHasNoTraceOfIt(t *testing.T) {
	if unix.Geteuid() != 0 {
		t.Skip("dpkg's records are root's")
	}
	g := NewWithT(t)
	root, hook := t.TempDir(), filepath.Join(t.TempDir(), "hook.sh")
	g.Expect(os.MkdirAll(root+"/var/lib/dpkg", 0o755)).To(Succeed())
	g.Expect(os.WriteFile(hook, []byte(dashboardHook), 0o755)).To(Succeed())
	for _, what := range []string{"try-again", "as-packaged"} {
		said, err := exec.CommandContext(t.Context(), "sh", hook, root, what).CombinedOutput()
		g.Expect(err).NotTo(HaveOccurred(), string(said))
	}
	g.Expect(root + "/usr/share/openstack-dashboard").NotTo(BeADirectory())
	g.Expect(os.ReadFile(root + "/var/lib/dpkg/diversions")).To(BeEmpty())
}

// Debian 12's package, for real: its configuration calls and compiles what stands in its program's place.
func TestRealBuildWithTheDashboard(t *testing.T) {
	g := NewWithT(t)
	cache := realBench(t)
	root, err := cache.Ensure(t.Context(), Want{Release: "zed", Suite: "bookworm", Packages: append(NodePackages(), "openstack-dashboard")},
		func(line string) { t.Log(line) })
	g.Expect(err).NotTo(HaveOccurred())
	said, err := exec.CommandContext(t.Context(), "dpkg", "--root", root.Path, "--verify", "openstack-dashboard").CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(said)).NotTo(ContainSubstring("manage.py"))
	g.Expect(os.ReadFile(root.Path + "/var/lib/dpkg/diversions")).NotTo(ContainSubstring("dashboard"))
	g.Expect(filepath.Glob(root.Path + "/usr/share/openstack-dashboard/manage.py*")).To(HaveLen(1))
	g.Expect(root.Path + "/var/lib/openstack-dashboard/static/dashboard/manifest.json").To(BeAnExistingFile())
	g.Expect(root.Release()).To(Succeed())
}
