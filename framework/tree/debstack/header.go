package debstack

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"grenade/framework/tree"
)

// Service is what a lib/<name> of the tree declares about itself, in comment lines of its head:
//
//	# requires: keystone               libs that must be up before it
//	# upgrades-after: placement        libs whose upgrade it cannot do without: they are upgraded with it, before it
//	# services: g-api                  its names in ENABLED_SERVICES
//	# packages: glance python3-memcache
//	# packages-since: 2025.1 <package>…   which only that release, by its number, and later ones have
//	# units: glance-api                systemd units of its control plane at base
//	# units-added: <unit>: <reason>    that only the target release has
//	# units-removed: <unit>: <reason>  that only the base release has
//	# units-own: <unit>: <reason>      of its control plane that no package ships, but the lib itself writes
//	# helpers: <unit>: dnsmasq haproxy programs of the data plane that the unit starts and that outlive it
//	# port: 9292                       where its API listens
//	# health: /healthcheck             what its API answers without a token, when that is not /
//	# config: glance/glance-api.conf   what operators own, below /etc; carried over to the target
//	# state: glance                    its directories below /var/lib and /var/log
//
// Lists are separated by blanks; a line may be repeated. Libs of the infrastructure declare packages and state only.
// projects/<name> declares the same of a project that its own plugin installs, configures and starts (see projects.go), and
//
//	# not-with: <lib>: <reason>        a lib that cannot be in the same cloud
//	# leaves: <kind> <name>: <reason>  what its plugin makes and does not remove
//	# wsgi: <module:name> <script>     the script that stands for a WSGI module, in releases that have no such module
//	# renamed: <file> <section>/<option> <section>/<option>   an option's old name and its new one
type Service struct {
	Name string
	File string // for messages: lib/<name>
	// FromPlugin: its plugin brings its units, the same ones on both sides.
	FromPlugin bool
	// NotWith are libs that cannot be in the same cloud; name to reason.
	NotWith map[string]string
	// Leaves is what its plugin makes and does not remove.
	Leaves   []tree.Leftover
	Requires []string
	// UpgradesAfter are the libs that must have been upgraded before it is.
	UpgradesAfter []string
	Services      []string
	Packages      []string
	// PackagesSince are further packages, by the number of the first release that has them.
	PackagesSince map[string][]string
	Units         []string
	UnitsAdded    map[string]string // unit to reason
	UnitsRemoved  map[string]string
	// UnitsOwn are units of the control plane that the lib brings, because no package does; unit to reason.
	UnitsOwn map[string]string
	// Helpers are the names of the data plane's programs that a unit starts, and that run on when it is stopped.
	Helpers map[string][]string
	Port    int // 0: it has no API
	// Health is the path that its API answers to somebody without a token, "" for /.
	Health string
	Config []string
	State  []string
}

// headerLine is a key that stands alone before a colon. Prose begins with a capital or goes on before its colon.
var headerLine = regexp.MustCompile(`^# ?([a-z]+(?:-[a-z]+)*):(?:[ \t]+(.*))?$`)

// parseHeader reads the head of a lib: its first lines up to the first that is neither comment nor blank. Mistakes
// name file and line; all are reported at once, as messages.
func parseHeader(file, text string) (Service, []string) {
	s := Service{Name: path.Base(file), File: file, UnitsAdded: map[string]string{}, UnitsRemoved: map[string]string{}, UnitsOwn: map[string]string{}, NotWith: map[string]string{}, PackagesSince: map[string][]string{}, Helpers: map[string][]string{}}
	var mistakes []string
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			break
		}
		part := headerLine.FindStringSubmatch(line)
		if part == nil {
			continue
		}
		if err := s.set(part[1], strings.TrimSpace(part[2])); err != nil {
			mistakes = append(mistakes, fmt.Sprintf("%s:%d: %v", file, number, err))
		}
	}
	return s, mistakes
}

func (s *Service) set(key, value string) error {
	words := strings.Fields(value)
	switch key {
	case "requires":
		s.Requires = append(s.Requires, words...)
	case "upgrades-after":
		s.UpgradesAfter = append(s.UpgradesAfter, words...)
	case "services":
		s.Services = append(s.Services, words...)
	case "packages":
		s.Packages = append(s.Packages, words...)
	case "packages-since":
		if len(words) < 2 || !releaseNumber.MatchString(words[0]) {
			return fmt.Errorf("%q is not \"<release number> <package>…\", like \"2025.1 neutron-periodic-workers\"", value)
		}
		s.PackagesSince[words[0]] = append(s.PackagesSince[words[0]], words[1:]...)
	case "units":
		s.Units = append(s.Units, unitNames(words)...)
	case "config":
		s.Config = append(s.Config, words...)
	case "state":
		s.State = append(s.State, words...)
	case "units-added":
		return declare(s.UnitsAdded, value)
	case "units-removed":
		return declare(s.UnitsRemoved, value)
	case "units-own":
		return declare(s.UnitsOwn, value)
	case "helpers":
		unit, programs, _ := strings.Cut(value, ":")
		unit = unitName(strings.TrimSpace(unit))
		if len(strings.Fields(unit)) != 1 || len(strings.Fields(programs)) == 0 {
			return fmt.Errorf("%q is not \"<unit>: <program>…\"", value)
		}
		s.Helpers[unit] = append(s.Helpers[unit], strings.Fields(programs)...)
	case "port":
		port, err := strconv.Atoi(value)
		if err != nil || port < 1 || port > 65535 {
			return fmt.Errorf("port %q is no port number", value)
		}
		s.Port = port
	case "health":
		if !strings.HasPrefix(value, "/") || len(words) != 1 {
			return fmt.Errorf("%q is not the path of a URL", value)
		}
		s.Health = value
	case "not-with":
		return declare(s.NotWith, value)
	case "leaves":
		what, reason, _ := strings.Cut(value, ":")
		kind, name, _ := strings.Cut(strings.TrimSpace(what), " ")
		if name == "" || strings.TrimSpace(reason) == "" {
			return fmt.Errorf("%q is not \"<kind> <name>: <reason>\"", value)
		}
		s.Leaves = append(s.Leaves, tree.Leftover{Kind: kind, Name: name, Reason: strings.TrimSpace(reason)})
	case "wsgi":
		if module, _, ok := strings.Cut(value, " "); !ok || len(words) != 2 || !strings.Contains(module, ":") {
			return fmt.Errorf("%q is not \"<module>:<name> <script>\"", value)
		}
	case "renamed":
		if len(words) != 3 || !strings.Contains(words[1], "/") || !strings.Contains(words[2], "/") {
			return fmt.Errorf("%q is not \"<file> <section>/<option> <section>/<option>\"", value)
		}
	case "shellcheck":
		// A directive of that tool has the same shape.
	default:
		return fmt.Errorf("%q is not among the keys that a lib can declare", key)
	}
	return nil
}

// declare reads "<unit>: <reason>". A declaration without a reason explains nothing.
func declare(to map[string]string, value string) error {
	if value == "" {
		return nil
	}
	unit, reason, _ := strings.Cut(value, ":")
	if strings.TrimSpace(reason) == "" || len(strings.Fields(unit)) != 1 {
		return fmt.Errorf("%q is not \"<unit>: <reason>\"", value)
	}
	to[unitName(strings.TrimSpace(unit))] = strings.TrimSpace(reason)
	return nil
}

// unitName is a unit's name without its suffix .service, which the headers and people leave out.
func unitName(name string) string { return strings.TrimSuffix(name, ".service") }

func unitNames(names []string) []string {
	short := make([]string, len(names))
	for i, name := range names {
		short[i] = unitName(name)
	}
	return short
}

// PackagesAt lists the service's packages at the release of that number ("2025.1").
func (s Service) PackagesAt(release string) []string {
	all := slices.Clone(s.Packages)
	for _, since := range slices.Sorted(maps.Keys(s.PackagesSince)) {
		if since <= release {
			all = append(all, s.PackagesSince[since]...)
		}
	}
	return all
}

// Services are the libs of a tree.
type Services []Service

// readServices reads the headers of all files in lib/, in the order of their names, and then those in projects/.
// The error belongs to ErrSetting and names every mistake with file and line.
func readServices(tree fs.FS) (Services, error) {
	all, mistakes, err := readHeaders(tree, "lib")
	if err != nil {
		return nil, fmt.Errorf("libs of the tree: %w", err)
	}
	projects, wrong, err := readHeaders(tree, projectsDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("projects of the tree: %w", err)
	}
	mistakes = append(mistakes, wrong...)
	for _, project := range projects {
		if lib, taken := all.Find(project.Name); taken {
			mistakes = append(mistakes, fmt.Sprintf("%s: the tree has a %s, too", project.File, lib.File))
		}
		project.FromPlugin = true
		all = append(all, project)
	}
	for _, s := range all {
		for _, name := range s.Requires {
			if _, ok := all.Find(name); !ok {
				mistakes = append(mistakes, fmt.Sprintf("%s: requires %s, but the tree has no lib/%s", s.File, name, name))
			}
		}
		for _, name := range s.UpgradesAfter {
			if !slices.Contains(s.Requires, name) {
				mistakes = append(mistakes, fmt.Sprintf("%s: upgrades after %s, but does not require it", s.File, name))
			}
		}
	}
	if len(mistakes) > 0 {
		return nil, setting(fmt.Errorf("the tree's headers: %s", strings.Join(mistakes, "; ")))
	}
	return all, nil
}

// readHeaders reads the headers of all files in a directory.
func readHeaders(tree fs.FS, dir string) (all Services, mistakes []string, err error) {
	listed, err := fs.ReadDir(tree, dir)
	if err != nil {
		return nil, nil, fmt.Errorf("headers: %w", err)
	}
	for _, entry := range listed {
		if entry.IsDir() {
			continue
		}
		file := path.Join(dir, entry.Name())
		text, err := fs.ReadFile(tree, file)
		if err != nil {
			return nil, nil, fmt.Errorf("headers: %w", err)
		}
		s, wrong := parseHeader(file, string(text))
		all, mistakes = append(all, s), append(mistakes, wrong...)
	}
	return all, mistakes, nil
}

// Find returns the service of that name.
func (s Services) Find(name string) (Service, bool) {
	i := slices.IndexFunc(s, func(one Service) bool { return one.Name == name })
	if i < 0 {
		return Service{}, false
	}
	return s[i], true
}

// Closure returns the named services and everything they require, each after what it requires; otherwise in the
// order of names given. The error belongs to ErrSetting: a name that the tree lacks, or a circle, which it spells out.
func (s Services) Closure(names ...string) (Services, error) {
	var ordered Services
	done := map[string]bool{}
	var visit func(name string, way []string) error
	visit = func(name string, way []string) error {
		if i := slices.Index(way, name); i >= 0 {
			return setting(fmt.Errorf("services require each other in a circle: %s", strings.Join(append(way[i:], name), " -> ")))
		}
		if done[name] {
			return nil
		}
		one, ok := s.Find(name)
		if !ok {
			return setting(fmt.Errorf("the debstack tree has no service %s: there is no lib/%s in it", name, name))
		}
		way = append(slices.Clone(way), name)
		for _, required := range one.Requires {
			if err := visit(required, way); err != nil {
				return err
			}
		}
		done[name] = true
		ordered = append(ordered, one)
		return nil
	}
	for _, name := range names {
		if err := visit(name, nil); err != nil {
			return nil, err
		}
	}
	return ordered, nil
}

// releaseNumber is a release as year.half, which sorts as text.
var releaseNumber = regexp.MustCompile(`^20[0-9]{2}\.[12]$`)

// Packages lists what these services need installed at the release of that number, sorted, each once. Roots hold the
// packages of all services of the tree, so that one root serves every selection of projects.
func (s Services) Packages(release string) []string {
	var all []string
	for _, one := range s {
		all = append(all, one.PackagesAt(release)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Enabled lists the ENABLED_SERVICES names of these services, in order.
func (s Services) Enabled() []string {
	var all []string
	for _, one := range s {
		all = append(all, one.Services...)
	}
	return unique(all)
}
