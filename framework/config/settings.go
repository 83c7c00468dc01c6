package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// setting is one row of the table that everything else follows from: reading,
// checking, Help and Markdown.
type setting struct {
	name string
	// fallback is the default; it may refer to settings above it as $NAME.
	fallback string
	// place computes a default that depends on the caller; fallback is then
	// only what the documentation shows.
	place func(Sources) string
	help  string
	// early settings decide where localrc is and cannot stand in it.
	early bool
	parse func(*Config, string) error
}

// Setting is what documentation needs to know of one setting.
type Setting struct{ Name, Default, Help string }

// Settings lists all settings in the order of the documentation.
func Settings() []Setting {
	var all []Setting
	for _, s := range table() {
		all = append(all, Setting{Name: s.name, Default: s.fallback, Help: s.help})
	}
	return all
}

func table() []setting {
	return []setting{
		{
			name: "STACK_ROOT", fallback: "/opt/stack",
			help:  "where trees and node live; the same path on the host and in the node",
			parse: directory(func(c *Config) *string { return &c.StackRoot }),
		},
		{
			name: "SAVE_DIR", fallback: "$STACK_ROOT/save",
			help:  "private memory of the run: store, journal, snapshots (mode 0700)",
			parse: directory(func(c *Config) *string { return &c.SaveDir }),
		},
		{
			name: "RESULTS_DIR", fallback: "<directory of localrc>/results", place: resultsDir,
			help:  "what a run may publish goes to RESULTS_DIR/<run id>",
			parse: absolute(func(c *Config) *string { return &c.ResultsDir }),
		},
		{
			name: "BASE_DEVSTACK_BRANCH", fallback: "stable/zed",
			help:  "release to upgrade from",
			parse: release(func(c *Config) *Release { return &c.Base }),
		},
		{
			name: "TARGET_DEVSTACK_BRANCH", fallback: "stable/2025.1",
			help:  "release to upgrade to",
			parse: release(func(c *Config) *Release { return &c.Target }),
		},
		{
			name: "RUN_BASE", fallback: "True",
			help:  "build the base cloud and run its phases",
			parse: boolean(func(c *Config) *bool { return &c.RunBase }),
		},
		{
			name: "RUN_TARGET", fallback: "True",
			help:  "run the phases of the target: upgrade and after",
			parse: boolean(func(c *Config) *bool { return &c.RunTarget }),
		},
		{
			name: "VERIFY_RESOURCES", fallback: "True",
			help:  "create resources and verify that they survive",
			parse: boolean(func(c *Config) *bool { return &c.VerifyResources }),
		},
		{
			name: "BASE_RUN_SMOKE", fallback: "False",
			help:  "run Tempest's smoke tests on the base cloud (minutes; upstream's default is True)",
			parse: boolean(func(c *Config) *bool { return &c.BaseRunSmoke }),
		},
		{
			name: "TARGET_RUN_SMOKE", fallback: "False",
			help:  "run Tempest's smoke tests on the upgraded cloud (minutes; upstream's default is True)",
			parse: boolean(func(c *Config) *bool { return &c.TargetRunSmoke }),
		},
		{
			name: "GRENADE_USE_EXTERNAL_DEVSTACK", fallback: "False",
			help:  "both trees are there and the base cloud runs: nothing is stacked, nothing removed, as in OpenStack's Zuul jobs (GRENADE_TREE=devstack on this machine)",
			parse: boolean(func(c *Config) *bool { return &c.External }),
		},
		{
			name: "GRENADE_TREE", fallback: "debstack",
			help:  "where the two trees come from: debstack, which installs Debian packages, or devstack: $GIT_BASE/openstack/devstack at the two branches; external: none, a cloud of yours with your own commands",
			parse: oneOf(func(c *Config) *Tree { return &c.Tree }, Debstack, Devstack, OwnCloud),
		},
		{
			name: "GRENADE_NODE", fallback: "nspawn",
			help:  "where the cloud runs: nspawn, a container, or local, this machine (DevStack only; it changes the machine for good)",
			parse: oneOf(func(c *Config) *NodeKind { return &c.Node }, Nspawn, Local),
		},
		{
			name: "EXTERNAL_COMMANDS", fallback: "",
			help:  "GRENADE_TREE=external: directory of your programs upgrade, stop, start, version and snapshot, called with a project's name (docs/external.md)",
			parse: optional(directory(func(c *Config) *string { return &c.ExternalCommands })),
		},
		{
			name: "EXTERNAL_IMAGE", fallback: "grenade-guest",
			help:  "name of the image with which guests testify on a cloud of yours; without it those of nova and cinder are not checked",
			parse: text(func(c *Config) *string { return &c.ExternalImage }),
		},
		{
			name: "EXTERNAL_FLAVOR", fallback: "m1.nano",
			help:  "name of the flavor that guests have on a cloud of yours",
			parse: text(func(c *Config) *string { return &c.ExternalFlavor }),
		},
		{
			name: "EXTERNAL_NETWORK", fallback: "public",
			help:  "name of the network of a cloud of yours that floating addresses come from",
			parse: text(func(c *Config) *string { return &c.ExternalNetwork }),
		},
		{
			name: "STACK_USER", fallback: "stack",
			help:  "user that runs stack.sh and the plugins' scripts; another than stack with GRENADE_NODE=local only",
			parse: userName,
		},
		{
			name: "GRENADE_PROJECTS", fallback: "",
			help:  "directory of plugins that take the place of the in-tree ones: projects/ of a checkout of upstream's Grenade",
			parse: optional(directory(func(c *Config) *string { return &c.ProjectsDir })),
		},
		{
			name: "KEEP", fallback: "never",
			help:  "keep the cloud after the run: never, on-failure or always",
			parse: keep,
		},
		{
			name: "RESUME", fallback: "False",
			help:  "continue the unfinished run instead of starting a new one",
			parse: boolean(func(c *Config) *bool { return &c.Resume }),
		},
		{
			name: "DEBIAN_MIRROR", fallback: "",
			help:  "URL of a Debian mirror; default: the one that the host's apt uses",
			parse: mirror,
		},
		{
			name: "BASE_EXTRA_PACKAGES", fallback: "",
			help:  "packages that the base root prefers over the mirror's: a directory of .deb files, or an apt source (deb [options] uri suite components)",
			parse: extraPackages("BASE_EXTRA_PACKAGES", func(c *Config) *ExtraPackages { return &c.BaseExtra }),
		},
		{
			name: "TARGET_EXTRA_PACKAGES", fallback: "",
			help:  "the same for the target root",
			parse: extraPackages("TARGET_EXTRA_PACKAGES", func(c *Config) *ExtraPackages { return &c.TargetExtra }),
		},
		{
			name: "ALLOW_EXPIRED_ARCHIVE", fallback: "False",
			help:  "use a suite although its Release file says that it is not valid any more",
			parse: boolean(func(c *Config) *bool { return &c.AllowExpiredArchive }),
		},
		{
			name: "NODE_ADDRESS", fallback: "10.99.0.2/24",
			help:  "IPv4 address of the node with its network, which must be free on this machine",
			parse: nodeAddress,
		},
		{
			name: "FLOATING_RANGE", fallback: "172.24.4.0/24",
			help:  "IPv4 network of the cloud's floating addresses; the host reaches it through the node, so it must be free on this machine",
			parse: floatingRange,
		},
		{
			name: "SERVICE_TIMEOUT", fallback: "120",
			help:  "seconds until a service must answer",
			parse: serviceTimeout,
		},
		{
			name: "SCRIPT_TIMEOUT", fallback: "10m",
			help:  "limit of one script of a plugin, then it is killed with all its children (like 90s, 10m, 1h30m)",
			parse: duration(func(c *Config) *time.Duration { return &c.ScriptTimeout }),
		},
		{
			name: "SUITE_TIMEOUT", fallback: "1h",
			help:  "limit of the whole run (like 90m, 3h)",
			parse: duration(func(c *Config) *time.Duration { return &c.SuiteTimeout }),
		},
		{
			name: "GRENADE_CACHE_DIR", fallback: "$XDG_CACHE_HOME/grenade, else ~/.cache/grenade", place: cacheDir,
			help:  "package roots, kept between runs",
			parse: directory(func(c *Config) *string { return &c.CacheDir }),
		},
		{
			name: "BASE_LAYER", fallback: "",
			help:  "directory with a base cloud that hack/cloud save has written: it is copied and started instead of a new one (for sets of many runs)",
			parse: optional(directory(func(c *Config) *string { return &c.BaseLayer })),
		},
		{
			name: "GRENADE_PLUGINRC", fallback: "",
			help:  "text that is read after pluginrc: enable_grenade_plugin <name> <url> [branch]",
			parse: func(c *Config, text string) error { c.PluginrcText = text; return nil },
		},
		{
			name: "PLUGIN_DIR", fallback: "$STACK_ROOT/plugins",
			help:  "where plugins are cloned, each to PLUGIN_DIR/<name>; one that is there is used as it is",
			parse: directory(func(c *Config) *string { return &c.PluginDir }),
		},
		{
			name: "GIT_BASE", fallback: "https://opendev.org",
			help:  "where repositories are: a URL or an absolute path; for DevStack, and for pluginrc: enable_grenade_plugin heat $GIT_BASE/openstack/heat",
			parse: gitBase,
		},
		{
			name: "RECLONE", fallback: "False",
			help:  "bring plugins and trees that are there up to date, unless that would lose changes",
			parse: boolean(func(c *Config) *bool { return &c.Reclone }),
		},
		{
			name: "OFFLINE", fallback: "False",
			help:  "fetch no plugin and no tree: use what is there",
			parse: boolean(func(c *Config) *bool { return &c.Offline }),
		},
		{
			name: "ERROR_ON_CLONE", fallback: "False",
			help:  "a plugin or tree that is not there is an error, as in OpenStack's CI",
			parse: boolean(func(c *Config) *bool { return &c.ErrorOnClone }),
		},
		{
			name: "GRENADE_CONFIG_DIR", fallback: "", early: true,
			help:  "directory of localrc and pluginrc; default: the module root, else where ginkgo was started (environment only)",
			parse: absolute(func(c *Config) *string { return &c.ConfigDir }),
		},
	}
}

// internalNames are variables with our prefix that are not settings: we set
// them for scripts, and a run started from a script of ours inherits them.
func internalNames() []string {
	return []string{"GRENADE_DIR", "GRENADE_RUN", "GRENADE_SCRIPT", "GRENADE_EXIT_FILE", "GRENADE_STARTER_PID"}
}

func resultsDir(s Sources) string { return s.ResultsDir }

func cacheDir(s Sources) string {
	// The XDG base directory specification: a relative path is to be ignored.
	if xdg := s.env("XDG_CACHE_HOME"); filepath.IsAbs(xdg) {
		return filepath.Join(xdg, "grenade")
	}
	if home := s.env("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".cache", "grenade")
	}
	return ""
}

func absolute(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, value string) error {
		if !filepath.IsAbs(value) {
			return fmt.Errorf("must be an absolute path, not %q", value)
		}
		*field(c) = filepath.Clean(value)
		return nil
	}
}

// directory is an absolute path that is safe to mount on, to pass through
// colon- and comma-separated mount options, and to remove things from.
func directory(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, value string) error {
		if err := absolute(field)(c, value); err != nil {
			return err
		}
		path := *field(c)
		for _, r := range path {
			if !strings.ContainsRune("/._+-@", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
				return fmt.Errorf("may hold letters, digits and / . _ + - @ only (mounts and DevStack need that), not %q", path)
			}
		}
		if systemDirectory(path) {
			return fmt.Errorf("must not be %s, a directory of the system: choose a directory of its own below it", path)
		}
		return nil
	}
}

func systemDirectory(path string) bool {
	top := []string{
		"/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc",
		"/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/tmp",
	}
	for _, pseudo := range []string{"/dev/", "/proc/", "/sys/"} {
		if strings.HasPrefix(path, pseudo) {
			return true
		}
	}
	return slices.Contains(top, path)
}

// release keeps what a branch says of its release. Which branches there are depends on the tree (together).
func release(field func(*Config) *Release) func(*Config, string) error {
	return func(c *Config, value string) error {
		r, err := branchOf(value)
		if err == nil {
			*field(c) = r
		}
		return err
	}
}

// boolean accepts what DevStack's trueorfalse recognises. Unlike trueorfalse it
// does not take anything else for the default: a typo must not change what is
// tested.
func boolean(field func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, value string) error {
		switch value {
		case "1", "yes", "Yes", "YES", "true", "True", "TRUE":
			*field(c) = true
		case "0", "no", "No", "NO", "false", "False", "FALSE":
			*field(c) = false
		default:
			return fmt.Errorf("must be True or False (also yes, no, 1, 0), not %q", value)
		}
		return nil
	}
}

// oneOf is one of a few words.
func oneOf[T ~string](field func(*Config) *T, words ...T) func(*Config, string) error {
	return func(c *Config, value string) error {
		if !slices.Contains(words, T(value)) {
			return fmt.Errorf("must be one of %s, not %q", strings.Trim(fmt.Sprint(words), "[]"), value)
		}
		*field(c) = T(value)
		return nil
	}
}

// text is a name as it is.
func text(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, value string) error {
		*field(c) = value
		return nil
	}
}

// optional leaves the field alone when nothing is set.
func optional(parse func(*Config, string) error) func(*Config, string) error {
	return func(c *Config, value string) error {
		if value == "" {
			return nil
		}
		return parse(c, value)
	}
}

// gitBase is where repositories are, without a slash at the end.
func gitBase(c *Config, value string) error {
	if err := checkGitURL(value); err != nil {
		return err
	}
	c.GitBase = strings.TrimRight(value, "/")
	return nil
}

// userName is a name as adduser accepts it (adduser.conf(5), NAME_REGEX), so that it is no option and no path.
func userName(c *Config, value string) error {
	if !regexp.MustCompile(`^[a-z_][a-z0-9_-]*$`).MatchString(value) {
		return fmt.Errorf("must be the name of a user, not %q", value)
	}
	c.StackUser = value
	return nil
}

func keep(c *Config, value string) error {
	switch k := Keep(value); k {
	case KeepNever, KeepOnFailure, KeepAlways:
		c.Keep = k
		return nil
	}
	return fmt.Errorf("must be never, on-failure or always, not %q", value)
}

func mirror(c *Config, value string) error {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.ContainsAny(value, " \t\n'\"\\") {
		return fmt.Errorf("must be an http or https URL, like http://mirror.example/debian, not %q", value)
	}
	c.DebianMirror = strings.TrimRight(value, "/")
	return nil
}

func nodeAddress(c *Config, value string) error {
	wrong := func(why string) error {
		return fmt.Errorf("must be an IPv4 address with its network, like 10.99.0.2/24; %q %s", value, why)
	}
	p, err := netip.ParsePrefix(value)
	switch {
	case err != nil:
		return wrong("is none")
	case !p.Addr().Is4():
		return wrong("is not IPv4")
	case p.Bits() < 8 || p.Bits() > 30:
		return wrong("has no room for node and host, or too much (allowed are /8 to /30)")
	case !p.Addr().IsPrivate():
		return wrong("is not a private address (10/8, 172.16/12, 192.168/16)")
	case p.Addr() == p.Masked().Addr():
		return wrong("is the address of the network itself")
	case p.Addr() == lastAddress(p):
		return wrong("is the broadcast address of its network")
	}
	c.NodeAddress = p
	return nil
}

func floatingRange(c *Config, value string) error {
	p, err := netip.ParsePrefix(value)
	if err != nil || !p.Addr().Is4() || p != p.Masked() || p.Bits() < 8 || p.Bits() > 28 || !p.Addr().IsPrivate() {
		return fmt.Errorf("must be a private IPv4 network of /8 to /28, like 172.24.4.0/24, not %q", value)
	}
	c.FloatingRange = p
	return nil
}

// lastAddress is an IPv4 network's broadcast address.
func lastAddress(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := range b {
		host := 8*(i+1) - p.Bits() // how many of this byte's bits belong to the host part
		if host > 0 {
			b[i] |= byte(1<<min(host, 8) - 1)
		}
	}
	return netip.AddrFrom4(b)
}

func serviceTimeout(c *Config, value string) error {
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds < 1 || seconds > 24*3600 {
		return fmt.Errorf("must be a whole number of seconds, at least 1, not %q", value)
	}
	c.ServiceTimeout = time.Duration(seconds) * time.Second
	return nil
}

func duration(field func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d < time.Second {
			return fmt.Errorf("must be a duration with its unit, at least 1s, like 90s, 10m or 1h30m, not %q", value)
		}
		*field(c) = d
		return nil
	}
}

// expand puts the values of settings into a default.
func expand(fallback string, value func(string) string) string {
	return os.Expand(fallback, value)
}
