package config

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Keep says when the cloud outlives the run.
type Keep string

// The values of KEEP.
const (
	KeepNever     Keep = "never"
	KeepOnFailure Keep = "on-failure"
	KeepAlways    Keep = "always"
)

// Tree is a kind of DevStack-shaped tree.
type Tree string

// The values of GRENADE_TREE.
const (
	Debstack Tree = "debstack"
	Devstack Tree = "devstack"
	// OwnCloud is no tree: a cloud of the user's, with his own commands.
	OwnCloud Tree = "external"
)

// NodeKind is a kind of node.
type NodeKind string

// The values of GRENADE_NODE.
const (
	Nspawn NodeKind = "nspawn"
	Local  NodeKind = "local"
)

// File is a file of the user's that was found and read.
type File struct {
	Path string // "" when there is none
	Text string
}

// Config is what the user asked for: complete and checked.
type Config struct {
	StackRoot  string // absolute, clean
	SaveDir    string // absolute, clean
	ResultsDir string // absolute, clean; each run adds a directory of its own
	CacheDir   string // absolute, clean
	BaseLayer  string // absolute, clean; "" makes a new base cloud
	ConfigDir  string // GRENADE_CONFIG_DIR, or ""

	// Tree is where both sides' trees come from, Node where the cloud runs.
	Tree Tree
	Node NodeKind
	// External: the trees are there and the base cloud runs.
	External bool
	// ExternalCommands is the directory of the commands of a cloud of the user's, and
	// the others are the names there of what checks use.
	ExternalCommands                               string
	ExternalImage, ExternalFlavor, ExternalNetwork string
	// StackUser runs everything of the shell contract.
	StackUser string
	// GitBase is where repositories are, without a slash at the end.
	GitBase string
	// ProjectsDir holds plugins that take the place of the in-tree ones; "" is none.
	ProjectsDir string // absolute, clean
	// PostStack is upstream's post-stack.sh, run after stack.sh when there is one.
	PostStack File

	Base, Target Release
	// SkipRelease: upstream does not support this distance; nova's skip-release
	// workaround must be on, and the report must say so.
	SkipRelease bool

	RunBase, RunTarget bool
	VerifyResources    bool
	// BaseRunSmoke and TargetRunSmoke: Tempest's smoke tests run on that side.
	BaseRunSmoke, TargetRunSmoke bool
	Keep                         Keep
	Resume                       bool

	DebianMirror string // without trailing slash; "" = the host's own
	// BaseExtra and TargetExtra are packages that the side prefers over the mirror's.
	BaseExtra, TargetExtra ExtraPackages
	NodeAddress            netip.Prefix
	// AllowExpiredArchive: a suite is used although its Release file has expired.
	AllowExpiredArchive bool
	FloatingRange       netip.Prefix
	ServiceTimeout      time.Duration
	ScriptTimeout       time.Duration
	SuiteTimeout        time.Duration

	Localrc, Pluginrc File
	PluginrcText      string // GRENADE_PLUGINRC: read after Pluginrc
	// Plugins are what the two enable, in their order, each once.
	Plugins   []EnabledPlugin
	PluginDir string // absolute, clean; where plugins are cloned
	// Offline: nothing is fetched by git; Reclone: plugins that are there are
	// fetched again; ErrorOnClone: plugins that are not there are an error.
	Offline, Reclone, ErrorOnClone bool

	// LocalConf are the user's files for each side's local.conf, in upstream's
	// order: devstack.local.conf.<side>, then devstack.local.conf or in its place
	// devstack.localrc.
	LocalConf map[Side][]File

	// Extra holds the variables that localrc set and that are not settings of
	// ours; upstream's scripts see them.
	Extra map[string]string
	// Warnings are worth a line each but do not stop a run.
	Warnings []string

	values []Value
	// pluginrcSets is what pluginrc assigned, as bash.
	pluginrcSets string
}

// Value is one setting as it was resolved.
type Value struct {
	Name   string
	Value  string
	Origin string // "default", "environment", or file:line
}

// Values lists every setting with its value and where that came from, in the
// table's order.
func (c *Config) Values() []Value { return append([]Value(nil), c.values...) }

// Secrets lists what of the configuration must not appear in a log.
func (c *Config) Secrets() []string {
	var secrets []string
	uris := []string{c.GitBase, c.DebianMirror, c.BaseExtra.Source.URI, c.TargetExtra.Source.URI}
	for _, plugin := range c.Plugins {
		uris = append(uris, plugin.URL)
	}
	for _, uri := range uris {
		u, err := url.Parse(uri)
		if err != nil || u.User == nil {
			continue
		}
		if password, set := u.User.Password(); set && password != "" {
			secrets = append(secrets, password)
		}
	}
	return secrets
}

// Sources says where to look.
type Sources struct {
	// Environ is the environment, as os.Environ gives it.
	Environ []string
	// Dirs are searched in this order for localrc and for pluginrc: the module
	// root, then the caller's directory. GRENADE_CONFIG_DIR, when set, replaces
	// them all: who names a directory does not want a stray file of another.
	Dirs []string
	// ResultsDir is the default of RESULTS_DIR. Default: "results" in the
	// directory where localrc was found, else in the first of Dirs.
	ResultsDir string
}

func (s Sources) env(name string) string {
	value := ""
	for _, entry := range s.Environ {
		if k, v, _ := strings.Cut(entry, "="); k == name {
			value = v // the last one wins, as in os/exec
		}
	}
	return value
}

// Load reads environment, localrc and pluginrc. It runs bash (for localrc, at
// most 10 s) and changes nothing.
//
// The error joins all Mistakes that can be seen; any other error means that
// reading itself was not possible. An empty value counts as not set, as in
// upstream's ${NAME:-default}.
func Load(ctx context.Context, src Sources) (*Config, error) {
	c := &Config{}
	var wrong []error

	dirs := src.Dirs
	if named := src.env("GRENADE_CONFIG_DIR"); named != "" {
		dirs = []string{named}
		if info, err := os.Stat(named); err != nil || !info.IsDir() {
			wrong = append(wrong, &Mistake{File: Environment, Message: fmt.Sprintf("GRENADE_CONFIG_DIR: %s is not a directory", named)})
		}
	}
	c.Localrc, wrong = find(dirs, "localrc", wrong)
	c.Pluginrc, wrong = find(dirs, "pluginrc", wrong)
	c.LocalConf, wrong = findLocalConf(dirs, wrong)
	c.PostStack, wrong = find(dirs, "post-stack.sh", wrong)
	if src.ResultsDir == "" {
		src.ResultsDir = besides(c.Localrc.Path, dirs)
	}

	local, mistakes, err := readLocalrc(ctx, c.Localrc, src)
	if err != nil {
		return nil, err
	}
	wrong = append(wrong, mistakes...)
	c.Extra = local.extra
	c.Warnings = append(c.Warnings, local.warnings...)
	c.Warnings = append(c.Warnings, suspects(src.Environ)...)

	wrong = append(wrong, c.resolve(src, local)...)
	c.fillLocalConf()
	unparsed := false
	for _, rc := range []File{c.Pluginrc, {Path: pluginrcName, Text: c.PluginrcText}} {
		mistake, err := checkSyntax(ctx, rc)
		if err != nil {
			return nil, err
		}
		if mistake != nil {
			wrong, unparsed = append(wrong, mistake), true
		}
	}
	if !unparsed {
		mistakes, err := c.readPluginrc(ctx, src)
		if err != nil {
			return nil, err
		}
		wrong = append(wrong, mistakes...)
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return c, nil
}

// find reads the first file of that name; a place that cannot be read is a
// mistake, not an absence.
func find(dirs []string, name string, wrong []error) (File, []error) {
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return File{}, append(wrong, &Mistake{File: path, Message: "cannot be read: " + cause(err)})
		}
		return File{Path: path, Text: string(text)}, wrong
	}
	return File{}, wrong
}

// cause leaves out the path that the Mistake names already.
func cause(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func besides(localrc string, dirs []string) string {
	switch {
	case localrc != "":
		return filepath.Join(filepath.Dir(localrc), "results")
	case len(dirs) > 0:
		return filepath.Join(dirs[0], "results")
	default:
		return ""
	}
}

// resolve fills c from the table and checks what two settings say together.
func (c *Config) resolve(src Sources, local *localrc) []error {
	var wrong []error
	sound := map[string]bool{}
	resolved := map[string]Value{}
	for _, s := range table() {
		v := Value{Name: s.name, Origin: "default"}
		var where Mistake
		switch fromEnv, fromFile := src.env(s.name), local.values[s.name]; {
		case fromEnv != "":
			v.Value, v.Origin = fromEnv, Environment
			where.File = Environment
		case fromFile.text != "" && s.early:
			wrong = append(wrong, &Mistake{File: fromFile.file, Line: fromFile.line,
				Message: s.name + " says where localrc is, so it can be set in the environment only"})
		case fromFile.text != "":
			where.File, where.Line = fromFile.file, fromFile.line
			v.Value = fromFile.text
			v.Origin = (&Mistake{File: where.File, Line: where.Line}).place()
		case s.place != nil:
			v.Value = s.place(src)
		default:
			v.Value = expand(s.fallback, func(name string) string { return resolved[name].Value })
		}
		resolved[s.name] = v
		c.values = append(c.values, v)
		if v.Value == "" && v.Origin == "default" && s.place == nil {
			sound[s.name] = true
			continue
		}
		err := s.parse(c, v.Value)
		switch {
		case err == nil:
			sound[s.name] = true
		case v.Origin == "default" && s.place != nil:
			wrong = append(wrong, &Mistake{Message: s.name + " has no default here: set it"})
		case v.Origin != "default": // a default derived from a bad value is told once, there
			where.Message = s.name + " " + err.Error()
			wrong = append(wrong, &where)
		}
	}
	return append(wrong, c.together(sound, resolved)...)
}

// together checks what no setting is guilty of alone, as far as its parts are
// sound.
func (c *Config) together(sound map[string]bool, resolved map[string]Value) []error {
	var wrong []error
	blame := func(message string, names ...string) {
		m := &Mistake{Message: message}
		for _, name := range names {
			if v := resolved[name]; v.Origin != "default" {
				m.File, m.Line = splitPlace(v.Origin)
				break
			}
		}
		wrong = append(wrong, m)
	}
	c.settleTree(sound, resolved, blame)
	if sound["BASE_DEVSTACK_BRANCH"] && sound["TARGET_DEVSTACK_BRANCH"] {
		if Distance(c.Base, c.Target) < 0 {
			blame(fmt.Sprintf("the target %s (%s) is older than the base %s (%s): an upgrade goes forward",
				c.Target.Branch, c.Target.Number, c.Base.Branch, c.Base.Number), "TARGET_DEVSTACK_BRANCH", "BASE_DEVSTACK_BRANCH")
		}
		c.SkipRelease = SkipsReleases(c.Base, c.Target)
	}
	if sound["RUN_BASE"] && sound["RUN_TARGET"] && !c.RunBase && !c.RunTarget {
		blame("RUN_BASE and RUN_TARGET are both False: nothing would be run", "RUN_TARGET", "RUN_BASE")
	}
	if sound["SCRIPT_TIMEOUT"] && sound["SUITE_TIMEOUT"] && c.ScriptTimeout >= c.SuiteTimeout {
		blame(fmt.Sprintf("SUITE_TIMEOUT (%s) must be longer than SCRIPT_TIMEOUT (%s)", c.SuiteTimeout, c.ScriptTimeout),
			"SUITE_TIMEOUT", "SCRIPT_TIMEOUT")
	}
	if sound["NODE_ADDRESS"] && sound["FLOATING_RANGE"] && c.NodeAddress.Overlaps(c.FloatingRange) {
		blame(fmt.Sprintf("FLOATING_RANGE (%s) overlaps NODE_ADDRESS (%s)", c.FloatingRange, c.NodeAddress), "FLOATING_RANGE", "NODE_ADDRESS")
	}
	if !sound["STACK_ROOT"] {
		return wrong
	}
	// A new run removes the node and the trees: nothing that must outlive them
	// may lie there, nor may they lie in it.
	outlive := []struct{ name, dir string }{{"SAVE_DIR", c.SaveDir}, {"RESULTS_DIR", c.ResultsDir}, {"GRENADE_CACHE_DIR", c.CacheDir}, {"PLUGIN_DIR", c.PluginDir}}
	for _, o := range outlive {
		name, dir := o.name, o.dir
		if !sound[name] {
			continue
		}
		for _, ours := range []string{"node", "old", "new"} {
			// OpenStack's Zuul jobs have SAVE_DIR and the plugins there.
			if !c.External && within(dir, filepath.Join(c.StackRoot, ours)) {
				blame(fmt.Sprintf("%s (%s) lies in %s, which each run removes", name, dir, filepath.Join(c.StackRoot, ours)), name, "STACK_ROOT")
			}
		}
	}
	if sound["SAVE_DIR"] && within(c.StackRoot, c.SaveDir) {
		blame(fmt.Sprintf("SAVE_DIR (%s) must not hold STACK_ROOT (%s): its content is private to one run", c.SaveDir, c.StackRoot), "SAVE_DIR", "STACK_ROOT")
	}
	return wrong
}

func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
