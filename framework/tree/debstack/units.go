package debstack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Unit is a systemd service unit that a package ships in a root.
type Unit struct {
	Name      string // without .service
	Package   string
	ExecStart []string
	// Script is a digest of the program that ExecStart names when that is one of init.d: Debian's OpenStack units all
	// start /etc/init.d/<unit>, which holds the real command line. "" otherwise.
	Script string

	fromScript bool // it has no unit file, only the script
}

// UnitsOf lists the service units that a service's packages ship in the root file system at dir, by name. A service's
// packages are those that its lib declares and all others that are built from the same sources, so that a unit that
// moves to a new package is not overlooked. Templates and aliases do not count. A script in init.d that has no unit of
// its name is one, too: systemd would make it one (systemd-sysv-generator(8)), and the tree writes one for it.
func UnitsOf(dir string, service Service) (map[string]Unit, error) {
	root, err := os.OpenRoot(dir) // A link in the root that points to an absolute path must not lead to the host's file.
	if err != nil {
		return nil, fmt.Errorf("units of %s: %w", service.Name, err)
	}
	defer func() { _ = root.Close() }() // Nothing was written.
	units, err := unitsOf(root.FS(), service)
	if err != nil {
		return nil, fmt.Errorf("units of %s in %s: %w", service.Name, dir, err)
	}
	return units, nil
}

func unitsOf(root fs.FS, service Service) (map[string]Unit, error) {
	packages, err := siblings(root, service.Packages)
	if err != nil {
		return nil, err
	}
	units := map[string]Unit{}
	for _, name := range packages {
		files, err := packageFiles(root, name)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			unit, err := readUnit(root, file)
			if errors.Is(err, errNoUnit) {
				continue
			}
			if err != nil {
				return nil, err
			}
			unit.Package = name
			if known, ok := units[unit.Name]; ok && unit.fromScript && !known.fromScript {
				continue
			}
			units[unit.Name] = unit
		}
	}
	return units, nil
}

// errNoUnit says that a file is nothing that can be started by its name.
var errNoUnit = errors.New("no service unit")

var (
	unitFile   = regexp.MustCompile(`^/(?:usr/)?(lib/systemd/system/([^/@]+)\.service)$`)
	scriptFile = regexp.MustCompile(`^/(etc/init\.d/([^/]+))$`)
)

func readUnit(root fs.FS, file string) (Unit, error) {
	if part := scriptFile.FindStringSubmatch(file); part != nil {
		unit := Unit{Name: part[2], ExecStart: []string{"/" + part[1] + " systemd-start"}, fromScript: true}
		return unit, unit.readScripts(root)
	}
	part := unitFile.FindStringSubmatch(file)
	if part == nil {
		return Unit{}, errNoUnit
	}
	// /lib is a link to /usr/lib in every release that we know.
	name := "usr/" + part[1]
	info, err := fs.Lstat(root, name)
	if err != nil {
		return Unit{}, fmt.Errorf("unit file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return Unit{}, errNoUnit
	}
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return Unit{}, fmt.Errorf("unit file: %w", err)
	}
	unit := Unit{Name: part[2], ExecStart: execStart(string(text))}
	return unit, unit.readScripts(root)
}

// readScripts sets the unit's Script from what its commands start.
func (u *Unit) readScripts(root fs.FS) error {
	for _, command := range u.ExecStart {
		program, _, _ := strings.Cut(strings.TrimLeft(command, "-@:+!"), " ")
		if path.Dir(program) != "/etc/init.d" {
			continue
		}
		script, err := fs.ReadFile(root, strings.TrimPrefix(program, "/"))
		if err != nil {
			return fmt.Errorf("unit %s: %w", u.Name, err)
		}
		sum := sha256.Sum256(script)
		u.Script = hex.EncodeToString(sum[:8])
	}
	return nil
}

// execStart reads the ExecStart lines of a unit file (systemd.syntax(7)): a backslash continues a line, an empty value
// forgets those before it.
func execStart(text string) []string {
	var commands []string
	section := ""
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || section != "[Service]" || strings.TrimSpace(name) != "ExecStart" {
			continue
		}
		if value = strings.Join(strings.Fields(value), " "); value == "" {
			commands = nil
			continue
		}
		commands = append(commands, value)
	}
	return commands
}

// siblings are the named packages, as far as they are installed, and all installed ones from the same sources.
func siblings(root fs.FS, names []string) ([]string, error) {
	source, err := installedSources(root)
	if err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for _, name := range names {
		if source[name] != "" {
			wanted[source[name]] = true
		}
	}
	var found []string
	for name, from := range source {
		if wanted[from] {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}

// installedSources maps each installed package to its source package, which dpkg's status names when it differs.
func installedSources(root fs.FS) (map[string]string, error) {
	status, err := fs.ReadFile(root, "var/lib/dpkg/status")
	if err != nil {
		return nil, fmt.Errorf("installed packages: %w", err)
	}
	sources := map[string]string{}
	for _, p := range dpkgStatus(string(status)) {
		sources[p.name] = p.source
	}
	return sources, nil
}

// packageFiles lists the files of a package, from the list that dpkg keeps of it (dpkg-query(1), --listfiles).
func packageFiles(root fs.FS, name string) ([]string, error) {
	// One that can be installed for several architectures at once has its list under both names together.
	for _, list := range []string{name, name + ":" + debianArchitecture()} {
		text, err := fs.ReadFile(root, "var/lib/dpkg/info/"+list+".list")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("file list: %w", err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n"), nil
	}
	return nil, fmt.Errorf("dpkg keeps no file list of package %s", name)
}

// Difference is how the service units of two releases differ for one service.
type Difference struct {
	Service      Service
	Base, Target map[string]Unit
	Added        []string // only the target has it
	Removed      []string // only the base has it
	Changed      []string // another ExecStart
	Rescripted   []string // the same ExecStart, another init.d script behind it

	sameRelease bool
}

// UnitDifference compares the service's units in two root file systems.
func UnitDifference(baseRoot, targetRoot string, service Service) (Difference, error) {
	d := Difference{Service: service}
	var err error
	if d.Base, err = UnitsOf(baseRoot, service); err != nil {
		return d, err
	}
	if d.Target, err = UnitsOf(targetRoot, service); err != nil {
		return d, err
	}
	if d.sameRelease, err = sameRelease(baseRoot, targetRoot); err != nil {
		return d, err
	}
	for _, name := range sortedKeys(d.Target, strings.Compare) {
		old, both := d.Base[name]
		switch now := d.Target[name]; {
		case !both:
			d.Added = append(d.Added, name)
		case !slices.Equal(old.ExecStart, now.ExecStart):
			d.Changed = append(d.Changed, name)
		case old.Script != now.Script:
			d.Rescripted = append(d.Rescripted, name)
		}
	}
	for _, name := range sortedKeys(d.Base, strings.Compare) {
		if _, both := d.Target[name]; !both {
			d.Removed = append(d.Removed, name)
		}
	}
	return d, nil
}

// sameRelease says whether two roots are of the same Debian release.
func sameRelease(a, b string) (bool, error) {
	var text [2][]byte
	for i, dir := range []string{a, b} {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return false, fmt.Errorf("release of a root: %w", err)
		}
		text[i], err = root.ReadFile("usr/lib/os-release")
		if err := errors.Join(err, root.Close()); err != nil {
			return false, fmt.Errorf("release of %s: %w", dir, err)
		}
	}
	return string(text[0]) == string(text[1]), nil
}

// String is the difference for people, a line per unit that differs; a service without any says so.
func (d Difference) String() string {
	var lines []string
	add := func(format string, args ...any) {
		lines = append(lines, d.Service.Name+": "+fmt.Sprintf(format, args...))
	}
	for _, name := range d.Added {
		add("unit %s is new in the target: %s", name, reason(d.Service.UnitsAdded[name]))
	}
	for _, name := range d.Removed {
		add("unit %s is gone in the target: %s", name, reason(d.Service.UnitsRemoved[name]))
	}
	for _, name := range d.Changed {
		add("unit %s starts %q at base, %q in the target", name,
			strings.Join(d.Base[name].ExecStart, "; "), strings.Join(d.Target[name].ExecStart, "; "))
	}
	for _, name := range d.Rescripted {
		add("unit %s starts %q in both, but the script is another one in the target", name, strings.Join(d.Target[name].ExecStart, "; "))
	}
	switch {
	case len(lines) > 0:
	case len(d.Base) == 0:
		add("no package brings a unit, in either release")
	default:
		add("units are the same in both releases: %s", strings.Join(sortedKeys(d.Base, strings.Compare), " "))
	}
	return strings.Join(lines, "\n")
}

func reason(declared string) string {
	if declared == "" {
		return "not declared"
	}
	return declared
}

// Judge returns an error unless the difference is what the service's lib declares. It names each unit, and where to
// declare it. A declaration that explains nothing is an error, too: of a unit as added that the target lacks, as
// removed that the target has. (One that explains a step between other releases is not, so that one header serves
// every pair; and between equal releases there is nothing to explain.)
func (d Difference) Judge() error {
	var wrong []string
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	file := d.Service.File
	for _, name := range d.Service.Units {
		if _, ok := d.Base[name]; !ok {
			add("%s declares unit %s, but no package of the service ships it at base", file, name)
		}
	}
	for _, name := range d.Added {
		if d.Service.UnitsAdded[name] == "" {
			add("unit %s of package %s is new in the target; declare it in %s: \"# units-added: %s: <reason>\"", name, d.Target[name].Package, file, name)
		}
	}
	for _, name := range d.Removed {
		if d.Service.UnitsRemoved[name] == "" {
			add("unit %s of package %s is gone in the target; declare it in %s: \"# units-removed: %s: <reason>\"", name, d.Base[name].Package, file, name)
		}
	}
	if !d.sameRelease {
		for _, name := range sortedKeys(d.Service.UnitsAdded, strings.Compare) {
			if _, ok := d.Target[name]; !ok {
				add("%s declares unit %s as added, but the target has none", file, name)
			}
		}
		for _, name := range sortedKeys(d.Service.UnitsRemoved, strings.Compare) {
			if _, ok := d.Target[name]; ok {
				add("%s declares unit %s as removed, but the target has it", file, name)
			}
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("units of %s: %s", d.Service.Name, strings.Join(wrong, "; "))
	}
	return nil
}
