package debstack

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// fakeRoot is the part of a root file system that says which units it ships.
func fakeRoot(t *testing.T, release string, packages map[string]map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	status := ""
	files := map[string]string{"usr/lib/os-release": release}
	for name, content := range packages {
		status += "Package: " + name + "\nStatus: install ok installed\nSource: neutron (2:26-1)\nVersion: 1\n\n"
		list := "/.\n/usr\n"
		for path, text := range content {
			list += path + "\n"
			files[path] = text
		}
		files["var/lib/dpkg/info/"+name+".list"] = list
	}
	files["var/lib/dpkg/status"] = status
	for path, text := range files {
		if filepath.Dir(path) == "/lib/systemd/system" {
			path = "/usr" + path // dpkg lists the path that the package has
		}
		if err := writeFile(filepath.Join(dir, path), text); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func unitText(command string) string {
	return "[Unit]\nDescription=x\nExecStart=/no\n[Service]\nUser=neutron\nExecStart=" + command + "\n[Install]\n"
}

func TestUnitDifference(t *testing.T) {
	base := fakeRoot(t, "bookworm", map[string]map[string]string{
		"neutron-api": {
			"/lib/systemd/system/neutron-api.service":        unitText("/etc/init.d/neutron-api systemd-start"),
			"/etc/init.d/neutron-api":                        "old",
			"/lib/systemd/system/neutron-old.service":        unitText("/usr/bin/old"),
			"/lib/systemd/system/neutron-rpc-server.service": unitText("/usr/bin/rpc \\\n  --one"),
			"/lib/systemd/system/neutron-same.service":       unitText("/usr/bin/same"),
			"/lib/systemd/system/neutron-t@.service":         unitText("/usr/bin/template"),
			"/usr/share/doc/x/neutron-doc.service":           unitText("/no"),
		},
	})
	target := fakeRoot(t, "trixie", map[string]map[string]string{
		"neutron-api": {
			"/usr/lib/systemd/system/neutron-api.service":        unitText("/etc/init.d/neutron-api systemd-start"),
			"/etc/init.d/neutron-api":                            "new",
			"/usr/lib/systemd/system/neutron-rpc-server.service": unitText("/usr/bin/rpc --two"),
			"/usr/lib/systemd/system/neutron-same.service":       unitText("/usr/bin/wrong\nExecStart=\nExecStart=/usr/bin/same"),
		},
		// Nobody declares this package; it is built from the same source. It has a script, but no unit.
		"neutron-periodic-workers": {"/etc/init.d/neutron-periodic-workers": "exec periodic"},
	})
	service := Service{Name: "neutron", File: "lib/neutron", Packages: []string{"neutron-api"}, Units: []string{"neutron-api"}}

	t.Run("what differs", func(t *testing.T) {
		g := NewWithT(t)
		d, err := UnitDifference(base, target, service)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(d.Added).To(Equal([]string{"neutron-periodic-workers"}))
		g.Expect(d.Removed).To(Equal([]string{"neutron-old"}))
		g.Expect(d.Changed).To(Equal([]string{"neutron-rpc-server"}))
		g.Expect(d.Rescripted).To(Equal([]string{"neutron-api"}))
		g.Expect(d.Target["neutron-api"].ExecStart).To(Equal([]string{"/etc/init.d/neutron-api systemd-start"}), "the unit, not its script")
		g.Expect(d.Target["neutron-periodic-workers"].ExecStart).To(Equal([]string{"/etc/init.d/neutron-periodic-workers systemd-start"}))
		g.Expect(d.Target["neutron-periodic-workers"].Script).NotTo(BeEmpty())
		g.Expect(d.String()).To(And(
			ContainSubstring("neutron-periodic-workers is new in the target: not declared"),
			ContainSubstring(`"/usr/bin/rpc --one" at base, "/usr/bin/rpc --two" in the target`)))
	})

	declared := func(change func(*Service)) Service {
		s := service
		s.UnitsAdded = map[string]string{"neutron-periodic-workers": "split off"}
		s.UnitsRemoved = map[string]string{"neutron-old": "dropped"}
		change(&s)
		return s
	}
	for name, test := range map[string]struct {
		service      Service
		base, target string
		want         string // "" is no error
	}{
		"everything declared": {declared(func(*Service) {}), base, target, ""},
		"undeclared addition": {declared(func(s *Service) { s.UnitsAdded = nil }), base, target,
			"unit neutron-periodic-workers of package neutron-periodic-workers is new in the target; declare it in lib/neutron: \"# units-added: neutron-periodic-workers: <reason>\""},
		"undeclared removal": {declared(func(s *Service) { s.UnitsRemoved = nil }), base, target,
			"unit neutron-old of package neutron-api is gone in the target; declare it in lib/neutron"},
		"addition that is not there": {declared(func(s *Service) { s.UnitsAdded["neutron-x"] = "r" }), base, target,
			"declares unit neutron-x as added, but the target has none"},
		"removal that is not one": {declared(func(s *Service) { s.UnitsRemoved["neutron-same"] = "r" }), base, target,
			"declares unit neutron-same as removed, but the target has it"},
		"base unit that no package ships": {declared(func(s *Service) { s.Units = []string{"neutron-server"} }), base, target,
			"declares unit neutron-server, but no package of the service ships it at base"},
		"equal releases": {declared(func(*Service) {}), base, base, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			d, err := UnitDifference(test.base, test.target, test.service)
			g.Expect(err).NotTo(HaveOccurred())
			if test.want == "" {
				g.Expect(d.Judge()).To(Succeed())
			} else {
				g.Expect(d.Judge()).To(MatchError(ContainSubstring(test.want)))
			}
		})
	}
}

// A link in a root must not make us read the host's files.
func TestUnitsOfDoesNotLeaveTheRoot(t *testing.T) {
	g := NewWithT(t)
	outside := filepath.Join(t.TempDir(), "outside")
	g.Expect(writeFile(outside, "Package: neutron-api\nStatus: install ok installed\n")).To(Succeed())
	dir := fakeRoot(t, "x", nil)
	g.Expect(os.Remove(filepath.Join(dir, "var/lib/dpkg/status"))).To(Succeed())
	g.Expect(os.Symlink(outside, filepath.Join(dir, "var/lib/dpkg/status"))).To(Succeed())
	_, err := UnitsOf(dir, Service{Name: "neutron", Packages: []string{"neutron-api"}})
	g.Expect(err).To(MatchError(ContainSubstring("escapes")))
}

func TestAServiceWithoutPackagedUnitsSaysSo(t *testing.T) {
	g := NewWithT(t)
	d := Difference{Service: Service{Name: "horizon", UnitsOwn: map[string]string{"horizon": "no package has it"}}}
	g.Expect(d.String()).To(Equal("horizon: no package brings a unit, in either release"))
	g.Expect(d.Judge()).To(Succeed())
	d.Base = map[string]Unit{"horizon": {}}
	d.Target = d.Base
	g.Expect(d.String()).To(Equal("horizon: units are the same in both releases: horizon"))
}

// A run asks for a service in every row; a root does not change.
func TestARootsUnitsAreReadOnce(t *testing.T) {
	g := NewWithT(t)
	root := fakeRoot(t, "bookworm", map[string]map[string]string{
		"neutron-api": {"/lib/systemd/system/neutron-api.service": unitText("/usr/bin/api")},
	})
	cloud, err := NewCloud(CloudOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	neutron, _ := cloud.known.Find("neutron")
	g.Expect(cloud.unitsIn(root, neutron)).To(HaveKey("neutron-api"))
	g.Expect(os.RemoveAll(filepath.Join(root, "var"))).To(Succeed())
	g.Expect(cloud.unitsIn(root, neutron)).To(HaveKey("neutron-api"))
	g.Expect(cloud.unitsIn(filepath.Join(root, "nowhere"), neutron)).To(BeEmpty(), "a root that is not there yet")
}

// dpkg names the list of a package that can be installed for several architectures after its own.
func TestFilesOfAPackageForSeveralArchitectures(t *testing.T) {
	g := NewWithT(t)
	root := t.TempDir()
	g.Expect(writeFile(filepath.Join(root, "var/lib/dpkg/info/one:"+debianArchitecture()+".list"), "/.\n/usr/bin/one\n")).To(Succeed())
	files, err := packageFiles(os.DirFS(root), "one")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(files).To(Equal([]string{"/.", "/usr/bin/one"}))
	_, err = packageFiles(os.DirFS(root), "two")
	g.Expect(err).To(MatchError(ContainSubstring("no file list of package two")))
}
