package main

import (
	"regexp"
	"slices"
	"strings"
)

// declaration is a difference that is meant, and why.
type declaration struct {
	// about is what differs, as the difference names it.
	about string
	// upstream and ours must match what each side has, whole.
	upstream, ours string
	// plugin and base: it is looked for only where this plugin is compared (or any, or
	// our settings of upstream's projects), and with this BASE_DEVSTACK_BRANCH.
	plugin, base string
	reason       string
}

// explains tells whether the declaration is about this difference.
func (d declaration) explains(found difference, compared []string, base string) bool {
	return whole(d.about, found.about) && whole(d.upstream, found.upstream) && whole(d.ours, found.ours) && d.applies(compared, base)
}

// applies tells whether what the declaration is about is compared at all.
func (d declaration) applies(compared []string, base string) bool {
	if d.base != "" && d.base != base {
		return false
	}
	switch d.plugin {
	case "":
		return true
	case anyPlugin:
		return slices.ContainsFunc(compared, func(name string) bool { return name != ourSettings })
	default:
		return slices.Contains(compared, d.plugin)
	}
}

// name is what the declaration is about, for people.
func (d declaration) name() string {
	text := d.about
	for prefix, kind := range map[string]string{"environment ": "", "sourced ": "after sourcing: "} {
		if name, found := strings.CutPrefix(text, prefix); found {
			text = kind + "`" + name + "`"
		}
	}
	if d.plugin != "" && d.plugin != anyPlugin {
		text += " (" + d.plugin + ")"
	}
	return text
}

func whole(pattern, text string) bool {
	return regexp.MustCompile(`(?s)^(?:` + pattern + `)$`).MatchString(text)
}

// anyPlugin and ourSettings are in the place of a plugin's name; nothing is the
// pattern for what a side does not have, something for what it may.
const (
	anyPlugin   = "*"
	ourSettings = "-our-settings"

	nothing   = `\(nothing\)`
	something = `.*`
)

// declared are the differences that are meant.
func declared() []declaration {
	all := slices.Concat(ofLocalConf(), ofEnvironment())
	for _, name := range []string{
		"fetch_grenade_plugins", "init_grenade_db", "load_settings", "resources", "reverse_list", "save_mysql_dbs", "shutdown_services",
	} {
		all = append(all, declaration{
			about: "sourced function " + name, upstream: "", ours: nothing,
			reason: "what grenade.sh itself is made of, and no script calls: phases and settings are the harness's",
		})
	}
	return append(all, ofPlugins()...)
}

func ofLocalConf() []declaration {
	var all []declaration
	for _, side := range []string{"base", "target"} {
		all = append(all, declaration{
			about: "local.conf " + side, upstream: `# added by \./grenade\.sh\nCELLSV2_SETUP=singleconductor\n`, ours: nothing,
			reason: "what grenade.sh itself adds for DevStack's cells; it belongs to what a tree of DevStack's sets, not to a plugin",
		})
	}
	return all
}

func ofEnvironment() []declaration {
	fromGrenaderc := "a script has it before it sources grenaderc, too, which sets the same"
	bashs := "bash's own, of where and how deep the shell runs that starts scripts: upstream's is grenade.sh"
	return []declaration{
		{about: "environment STACK_ROOT", upstream: nothing, ours: "ROOT", reason: fromGrenaderc},
		{about: "environment BASE_RELEASE_DIR", upstream: nothing, ours: "ROOT/old", reason: fromGrenaderc},
		{about: "environment TARGET_RELEASE_DIR", upstream: nothing, ours: "ROOT/new", reason: fromGrenaderc},
		{about: "environment BASE_DEVSTACK_DIR", upstream: nothing, ours: "ROOT/old/devstack", reason: fromGrenaderc},
		{about: "environment TARGET_DEVSTACK_DIR", upstream: nothing, ours: "ROOT/new/devstack", reason: fromGrenaderc},
		{about: "environment BASE_DEVSTACK_BRANCH", upstream: nothing, ours: "BASE BRANCH", reason: fromGrenaderc},
		{about: "environment TARGET_DEVSTACK_BRANCH", upstream: nothing, ours: "TARGET BRANCH", reason: fromGrenaderc},
		{about: "environment SAVE_DIR", upstream: nothing, ours: "ROOT/save", reason: fromGrenaderc},
		{
			about: "environment GRENADE_SAVE_DIR", upstream: nothing, ours: "ROOT/save",
			reason: "by it our grenaderc knows SAVE_DIR, which no localrc may move",
		},
		{
			about: "environment GRENADE_PROJECT", upstream: nothing, ours: "PROJECT",
			reason: "whose value in the store it is: resource_save says so when another project overwrites it",
		},
		{
			about: "environment GRENADE_SCRIPT", upstream: nothing, ours: "compare/PHASE/PROJECT",
			reason: "by it what a script leaves behind is found when it runs into its limit",
		},
		{
			about: "environment LOGDIR", upstream: "ROOT/logs", ours: "ROOT/save/logs",
			reason: "a run of ours has its logs in its own directories; what scripts write there may hold secrets",
		},
		{
			about: "environment LOGDIR", upstream: nothing, ours: "ROOT/save/logs",
			reason: "upstream gives it to resources.sh only, although worlddump, which any script may call, writes there",
		},
		{
			about: "environment LOGNAME", upstream: `grenade\.sh\.log`, ours: "stack",
			reason: "a fault of upstream's: grenade.sh uses the name of the login for that of its log",
		},
		{
			about: "environment PS4", upstream: `\+ \$\(short_source\):   `, ours: nothing,
			reason: "how grenade.sh marks the lines of its trace; ours is written by the harness, with file and line",
		},
		{
			about: "environment BASH_FUNC_short_source%%", upstream: something, ours: nothing,
			reason: "DevStack's functions export it for that PS4; a script that sources them has it",
		},
		{
			about: "environment PYTHON3_VERSION", upstream: something, ours: nothing,
			reason: "grenade.sh asks for it to install dsconf; the tree's stackrc exports the same",
		},
		{about: "environment DSTOOLS_VERSION", upstream: something, ours: nothing, reason: "the dsconf that grenade.sh installs; ours needs none"},
		{about: "environment OLDPWD", upstream: something, ours: nothing, reason: bashs},
		{about: "environment SHLVL", upstream: "[23]", ours: "[12]", reason: bashs},
		{
			about: "environment UPGRADE_PROJECTS", plugin: anyPlugin, upstream: something, ours: nothing,
			reason: "exported where a plugin of another repository is enabled, and emptied by grenaderc, which scripts source first",
		},
		{about: "sourced variable CURRENT_LOG_TIME", upstream: something, ours: nothing, reason: "grenade.sh names its log by it"},
		{about: "sourced variable GRENADE_DB", upstream: "ROOT/save/grenade_db.ini", ours: nothing, reason: "the store's file, which resource_save and resource_get hide"},
		{about: "sourced variable _XTRACE_GRENADE_FUNCTIONS", upstream: something, ours: nothing, reason: "upstream's functions keep an option of the shell in it; ours forget it"},
	}
}

func ofPlugins() []declaration {
	ofNova := "nova-api is no name of a database; ours are those of the packaged cloud, where cell1 has nova's"
	return []declaration{
		{
			about: "failure", plugin: "networking-odl",
			upstream: `.*/plugins/networking-odl/devstack/upgrade/settings: line 29: .*`,
			ours:     `setup: settings: ROOT/plugins/networking-odl/devstack/upgrade/settings:29: .*`,
			reason:   "its settings source a checkout below /opt/stack, whatever STACK_ROOT is: both end at that line",
		},
		{
			about: "local.conf base", plugin: "networking-odl", upstream: `(# added by ROOT/plugins/networking-odl/devstack/upgrade/settings\n[^\n]*\n)+`, ours: nothing,
			reason: "ours writes local.conf when all settings have run to their end",
		},
		{
			about: "scripts", plugin: "designate", base: "stable/zed", upstream: nothing,
			ours:   `plugins/designate/devstack/upgrade/from-2024\.2/upgrade-designate configure_designate_upgrade`,
			reason: "upgrade_project of ours takes the steps of the releases between, too",
		},
		{
			about: "databases", plugin: ourSettings, upstream: ".* nova nova-api nova_cell0 nova_cell1 cinder", ours: ".* nova nova_api nova_cell0 cinder", reason: ofNova,
		},
		{
			about: "environment DATABASES_TO_SAVE", plugin: ourSettings, upstream: ".* nova-api nova_cell0 nova_cell1 cinder", ours: ".* nova_api nova_cell0 cinder", reason: ofNova,
		},
	}
}
