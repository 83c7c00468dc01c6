package plugins

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/tree"
	"grenade/framework/tree/localconf"
)

// contract is the plugins of testdata/contract, enabled and loaded in a world.
type contract struct {
	*world
	config   *config.Config
	found    []Plugin
	settings *Settings
}

// loadContract puts the checkouts where a node has them, and runs all settings.
func loadContract(t *testing.T) *contract {
	t.Helper()
	g := NewWithT(t)
	c := &contract{world: newWorld(t)}
	checkouts, err := filepath.Glob("testdata/contract/[0-9]*")
	g.Expect(err).NotTo(HaveOccurred())
	rc := ""
	for _, checkout := range checkouts {
		name := filepath.Base(checkout)
		dir := filepath.Join(c.root, "plugins", name)
		g.Expect(os.CopyFS(dir, os.DirFS(checkout))).To(Succeed())
		for _, side := range []string{"old", "new"} {
			g.Expect(os.Symlink(dir, filepath.Join(c.root, side, name))).To(Succeed())
		}
		rc += "enable_grenade_plugin " + name + " https://git.example/" + name + "\n"
	}
	c.config = enabled(t, c.root, rc)
	g.Expect(os.WriteFile(c.grenade+"/pluginrc", []byte(c.config.PluginrcForScripts()), 0o644)).To(Succeed())
	external := UpgradeDirs(c.config.Plugins)
	c.found, err = Scan(c.grenade, "", external, nil)
	g.Expect(err).NotTo(HaveOccurred())
	c.settings, err = c.loadPlanned(t, c.found, external, map[string]string{
		"BASE_RELEASE_DIR": c.root + "/old", "TARGET_RELEASE_DIR": c.root + "/new",
	})
	g.Expect(err).NotTo(HaveOccurred())
	return c
}

// dir is the directory of a plugin's scripts.
func (c *contract) dir(name string) string { return c.root + "/plugins/" + name + "/devstack/upgrade" }

func TestContractSettings(t *testing.T) {
	g := NewWithT(t)
	c := loadContract(t)

	g.Expect(c.settings.Order).To(Equal(strings.Fields(
		"first keystone glance dropper shared exporter localconf quiet siblings steps typos")))
	for project, name := range map[string]string{"first": "01-prepends-itself", "localconf": "05-local-conf", "siblings": "08-siblings"} {
		g.Expect(c.settings.PluginDir).To(HaveKeyWithValue(project, c.dir(name)))
	}
	dropped := c.notEnabled(t, "keystone", "glance", "placement")
	dropped["placement"] = c.dir("02-drops-another") + "/settings:2"
	g.Expect(c.settings.Dropped).To(Equal(dropped))
	g.Expect(c.settings.Databases).To(Equal(map[string][]string{
		"keystone": {"keystone"}, "placement": {"placement"}, "glance": {"glance"}, "shared": {"shared"}, "localconf": {"lc", "lc_api", "lc_cell0"},
	}))
	g.Expect(c.settings.Exports).To(Equal(map[string]string{
		"DATABASES_TO_SAVE":  " keystone placement glance shared lc lc_api lc_cell0",
		"DEFAULT_IMAGE_NAME": "the-exporters-image",
	}))
	g.Expect([]string{c.settings.BaseRunSmoke, c.settings.TargetRunSmoke, c.settings.VerifyResources}).To(Equal([]string{"False", "False", "True"}))
}

func TestContractLocalConf(t *testing.T) {
	g := NewWithT(t)
	c := loadContract(t)
	compose := func(side config.Side) string {
		composed, err := localconf.Compose(localconf.Input{
			Defaults: localconf.Parse("[[local|localrc]]\nA=1\n[[post-config|$NOVA_CONF]]\n[DEFAULT]\nx = 1\n"), Added: c.settings.Localrc[side],
		})
		g.Expect(err).NotTo(HaveOccurred())
		return strings.ReplaceAll(composed.String(), c.root, "")
	}
	g.Expect(compose(config.Base)).To(Equal(`[[local|localrc]]
A=1
# added by /plugins/03-shares-settings/devstack/upgrade/settings
enable_service sh-api sh-eng
# added by /plugins/05-local-conf/devstack/upgrade/settings
enable_plugin localconf https://git.example/localconf
[[post-config|$NOVA_CONF]]
[DEFAULT]
x = 1
`))
	g.Expect(compose(config.Target)).To(Equal(`[[local|localrc]]
A=1
# added by /plugins/03-shares-settings/devstack/upgrade/settings
enable_service sh-api sh-eng
# added by /plugins/05-local-conf/devstack/upgrade/settings
LC_TIMEOUT=120
LC_DRIVER='a b'

# added by /plugins/05-local-conf/devstack/upgrade/settings
disable_service lc-old
[[test-config|$TEMPEST_CONFIG]]
[localconf]
image = cirros
[[post-config|$NOVA_CONF]]
[DEFAULT]
x = 1
`))
	g.Expect(c.settings.Localrc[config.Target][1]).To(Equal(tree.LocalrcLine{
		SettingsFile: c.dir("05-local-conf") + "/settings", Line: 5,
		Text: "LC_TIMEOUT=120\nLC_DRIVER='a b'\n\n[[test-config|$TEMPEST_CONFIG]]\n[localconf]\nimage = cirros",
	}))
}

// run runs a script as a phase does, and returns what it said and its exit code.
func (c *contract) run(t *testing.T, name, script string, env map[string]string, args ...string) (string, int) {
	t.Helper()
	g := NewWithT(t)
	environ := c.environ()
	for _, more := range []map[string]string{
		{"BASE_RELEASE_DIR": c.root + "/old", "TARGET_RELEASE_DIR": c.root + "/new"}, c.settings.Exports, env,
	} {
		for variable, value := range more {
			environ[variable] = value
		}
	}
	command, err := ScriptCommand(ScriptInput{Path: c.dir(name) + "/" + script, Args: args, Environ: environ})
	g.Expect(err).NotTo(HaveOccurred())
	command.Timeout, command.Log = 30*time.Second, filepath.Join(t.TempDir(), "log")
	result, err := exec.Run(t.Context(), command)
	if err != nil {
		g.Expect(result.ExitCode).To(BeNumerically(">", 0), "%v", err)
	}
	said, err := os.ReadFile(command.Log)
	g.Expect(err).NotTo(HaveOccurred())
	return strings.ReplaceAll(string(said), c.root, ""), result.ExitCode
}

func TestContractScripts(t *testing.T) {
	c := loadContract(t)
	onTarget := map[string]string{"TOP_DIR": c.target}
	for name, test := range map[string]struct {
		plugin, script string
		args           []string
		env            map[string]string
		code           int
		said           []string
	}{
		"siblings by every way": {
			plugin: "08-siblings", script: "upgrade.sh", env: onTarget,
			said: []string{
				"*** begin /plugins/08-siblings/devstack/upgrade/upgrade.sh\nlib for $0\nlib for BASH_SOURCE\nlib for TARGET_RELEASE_DIR\nlib for GITDIR\nlib for old\n" +
					"image the-exporters-image, projects '', top new\nline \n",
			},
		},
		"a script without #!": {
			plugin: "08-siblings", script: "resources.sh", args: []string{"verify", "pre-upgrade"}, said: []string{"verify pre-upgrade top old\n"},
		},
		"an empty script": {plugin: "08-siblings", script: "shutdown.sh"},
		"every step of a skip-level upgrade": {
			plugin: "09-steps", script: "upgrade.sh", env: onTarget,
			said: []string{"step from zed\n", "step from 2023.1\nUpgrading steps: from-2024.2\nstep from 2024.2\n"},
		},
		"one step of an upgrade to the next release": {
			plugin: "09-steps", script: "upgrade.sh", env: map[string]string{"BASE_DEVSTACK_BRANCH": "unmaintained/2024.2", "TARGET_DEVSTACK_BRANCH": "stable/2025.1"},
			said: []string{"Upgrading steps: from-2024.2\nstep from 2024.2\n"},
		},
		"a step within a release": {
			plugin: "09-steps", script: "upgrade.sh", env: map[string]string{"BASE_DEVSTACK_BRANCH": "stable/zed", "TARGET_DEVSTACK_BRANCH": "unmaintained/zed"},
			said: []string{"Upgrading steps: within-zed\nstep within zed\n"},
		},
		"typos to live with": {
			plugin: "10-typos", script: "shutdown.sh", code: 1, said: []string{"stop_somehow: command not found", "goes on\n", "and says why it ends"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			said, code := c.run(t, test.plugin, test.script, test.env, test.args...)
			g.Expect(code).To(Equal(test.code), said)
			for _, want := range test.said {
				g.Expect(said).To(ContainSubstring(want))
			}
			if len(test.said) == 0 {
				g.Expect(said).To(BeEmpty())
			}
		})
	}
	g := NewWithT(t)
	g.Expect(c.base+"/written-beside-the-tree").To(BeAnExistingFile(), "scripts run in the base tree's directory")
}

func TestContractOddities(t *testing.T) {
	g := NewWithT(t)
	c := loadContract(t)
	g.Expect(CheckScripts(t.Context(), c.found)).To(Succeed())
	g.Expect(remarks(Oddities(c.found))).To(ConsistOf(
		fmt.Sprintf("%s/from-epoxy can never match: epoxy is no release of a branch; did its author mean from-2025.1?", c.dir("09-steps")),
		c.dir("10-typos")+"/resource.sh is never run: did its author mean resources.sh?",
		c.dir("10-typos")+"/shutdhown.sh is never run: did its author mean shutdown.sh?",
	))
}
