package plugins

import (
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/report"
	"grenade/framework/tree"
)

// repository makes a git repository of a plugin: on stable/2025.1 its settings
// register heat, on unmaintained/zed old-heat.
func repository(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "heat")
	g := NewWithT(t)
	settings := filepath.Join(dir, "devstack/upgrade/settings")
	g.Expect(os.MkdirAll(filepath.Dir(settings), 0o755)).To(Succeed())
	git(t, dir, "init", "--quiet", "--initial-branch=master")
	for _, branch := range []struct{ name, project string }{{"unmaintained/zed", "old-heat"}, {"stable/2025.1", "heat"}} {
		git(t, dir, "checkout", "--quiet", "-B", branch.name)
		g.Expect(os.WriteFile(settings, []byte("register_project_for_upgrade "+branch.project+"\n"), 0o644)).To(Succeed())
		git(t, dir, "add", "--all")
		git(t, dir, "commit", "--quiet", "--message="+branch.project)
	}
	return dir
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	command := osexec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), "git %v: %s", args, out)
	return strings.TrimSpace(string(out))
}

// enabled is what a pluginrc's text enables on a machine with this STACK_ROOT.
func enabled(t *testing.T, root, text string) *config.Config {
	t.Helper()
	c, err := config.Load(t.Context(), config.Sources{Environ: []string{"HOME=" + root, "STACK_ROOT=" + root, "GRENADE_PLUGINRC=" + text}, Dirs: []string{root}})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return c
}

func TestFetchMakesCheckoutsOfBothReleases(t *testing.T) {
	g := NewWithT(t)
	origin, root := repository(t), t.TempDir()
	c := enabled(t, root, "enable_grenade_plugin heat file://"+origin)
	g.Expect(NotFetched(c.Plugins[0])).To(BeTrue())
	var told []string

	fetched, err := Fetch(t.Context(), FetchInput{Plugins: c.Plugins, Config: c, Progress: func(what string) { told = append(told, what) }})

	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(fetched).To(HaveLen(1))
	dir, base := root+"/plugins/heat", root+"/plugins/.base/heat"
	g.Expect(fetched[0].Reported()).To(Equal(report.Plugin{
		Name: "heat", URL: "file://" + origin, Ref: "stable/2025.1", Dir: dir, Commit: git(t, origin, "rev-parse", "stable/2025.1"), Subject: "heat",
	}))
	g.Expect(fetched[0].Checkout()).To(Equal(tree.Checkout{Name: "heat", Dir: dir, BaseDir: base, Give: true}))
	g.Expect(fetched[0].Stale(c.Base)).To(BeEmpty())
	g.Expect(told).To(ContainElement("clone of file://" + origin))
	for at, project := range map[string]string{dir: "heat", base: "old-heat"} {
		found, err := Scan(root, "", []string{at + "/devstack/upgrade"}, nil)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(found[len(found)-1].Project).To(Equal(project))
	}
}

// Branches of old releases are given up; a tag stays where they ended.
func TestTheBaseCheckoutMayBeWhereItsBranchEnded(t *testing.T) {
	g := NewWithT(t)
	origin, root := repository(t), t.TempDir()
	git(t, origin, "tag", "zed-eom", "unmaintained/zed")
	git(t, origin, "branch", "--quiet", "-D", "unmaintained/zed")
	c := enabled(t, root, "enable_grenade_plugin heat file://"+origin)
	fetched, err := Fetch(t.Context(), FetchInput{Plugins: c.Plugins, Config: c})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(fetched[0].Base).To(Equal(root + "/plugins/.base/heat"))
	found, err := Scan(root, "", []string{fetched[0].Base + "/devstack/upgrade"}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found[len(found)-1].Project).To(Equal("old-heat"))

	git(t, origin, "tag", "-d", "zed-eom")
	g.Expect(os.RemoveAll(root + "/plugins")).To(Succeed())
	fetched, err = Fetch(t.Context(), FetchInput{Plugins: c.Plugins, Config: c})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(fetched[0].Base).To(Equal(root + "/plugins/heat"))
	g.Expect(fetched[0].Stale(c.Base)).To(ContainSubstring("no branch of zed, and no tag where it ended"))
}

func TestFetchLeavesARunThatGoesOnWhatItBeganWith(t *testing.T) {
	g := NewWithT(t)
	origin, root := repository(t), t.TempDir()
	c := enabled(t, root, "enable_grenade_plugin heat file://"+origin)
	fetch := func(update bool) string {
		fetched, err := Fetch(t.Context(), FetchInput{Plugins: c.Plugins, Config: c, Update: update})
		g.Expect(err).NotTo(HaveOccurred())
		return fetched[0].Subject
	}
	g.Expect(fetch(true)).To(Equal("heat"))
	git(t, origin, "commit", "--quiet", "--allow-empty", "--message=newer")
	g.Expect(fetch(true)).To(Equal("heat"), "without RECLONE, what is there is used")
	c.Reclone = true
	g.Expect(fetch(false)).To(Equal("heat"))
	g.Expect(fetch(true)).To(Equal("newer"))
	c.Plugins[0].Branch = "unmaintained/zed"
	g.Expect(fetch(false)).To(Equal("newer"))
	c.Reclone = false
	g.Expect(fetch(true)).To(Equal("old-heat"))
}

func TestADirectoryIsUsedInPlace(t *testing.T) {
	g := NewWithT(t)
	origin, root := repository(t), t.TempDir()
	g.Expect(os.WriteFile(origin+"/devstack/upgrade/settings", []byte("register_project_for_upgrade changed\n"), 0o644)).To(Succeed())
	c := enabled(t, root, "enable_grenade_plugin heat "+origin)
	fetched, err := Fetch(t.Context(), FetchInput{Plugins: c.Plugins, Config: c, Update: true})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(fetched[0].Reported().Version()).To(HaveSuffix(" with changes"))
	g.Expect(fetched[0].Checkout()).To(Equal(tree.Checkout{Name: "heat", Dir: origin, BaseDir: root + "/plugins/.base/heat", ReadOnly: true}))
	found, err := Scan(root, "", UpgradeDirs(c.Plugins), nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found[len(found)-1].Project).To(Equal("changed"))
	g.Expect(root + "/plugins/heat").NotTo(BeADirectory())
}

func TestFetchTellsAllThatCannotBeHad(t *testing.T) {
	g := NewWithT(t)
	origin, root := repository(t), t.TempDir()
	c := enabled(t, root, "enable_grenade_plugin a file:///nowhere\nenable_grenade_plugin b file://"+origin+" no-such\nenable_grenade_plugin heat file://"+origin)
	fetched, err := Fetch(t.Context(), FetchInput{Plugins: c.Plugins, Config: c})
	g.Expect(err).To(MatchError(And(ContainSubstring("GRENADE_PLUGINRC:1: plugin a: "), ContainSubstring("GRENADE_PLUGINRC:2: plugin b: "))))
	g.Expect(config.IsMistake(err)).To(BeFalse())
	g.Expect(fetched).To(HaveLen(1))

	c.Offline = true
	_, err = Fetch(t.Context(), FetchInput{Plugins: c.Plugins[:1], Config: c})
	g.Expect(config.Mistakes(err)).To(HaveLen(1))
	g.Expect(err).To(MatchError(HavePrefix("GRENADE_PLUGINRC:1: checkout of file:///nowhere at stable/2025.1 in " + root + "/plugins/a: it is not there, and OFFLINE")))
}

func TestPluginsThatAreNotFetchedStandUnderTheirName(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	c := enabled(t, w.root, "enable_grenade_plugin first file:///a\nenable_grenade_plugin there file:///b\nenable_grenade_plugin glance file:///c\nenable_grenade_plugin bare file:///d")
	w.plugin(t, "there", "register_project_for_upgrade one\nregister_project_for_upgrade two\n")
	g.Expect(os.MkdirAll(w.root+"/plugins/bare", 0o755)).To(Succeed())
	found, err := Scan(w.grenade, "", UpgradeDirs(c.Plugins), nil)
	g.Expect(err).NotTo(HaveOccurred())

	all := WithMissing(found, c.Plugins)

	var order []string
	for _, plugin := range all[len(inTree(t)):] {
		order = append(order, plugin.Project)
	}
	g.Expect(order).To(Equal([]string{"first", "one", "two"}))
	g.Expect(all[len(inTree(t))]).To(Equal(Plugin{
		Project: "first", Dir: w.root + "/plugins/first/devstack/upgrade", SettingsFile: "GRENADE_PLUGINRC", Line: 1, NotFetched: true,
	}))
}

// Scripts find what is beside them through all the ways that plugins in the wild
// use, since a plugin runs in its whole checkout.
func TestSiblingsOfAScriptAreFound(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	origin := repository(t)
	c := enabled(t, w.root, "enable_grenade_plugin heat file://"+origin)
	for name, text := range map[string]string{
		"devstack/lib/heat": "echo \"from ${1:-nobody}\"\n", "devstack/upgrade/common": "echo common\n", "devstack/settings": "",
		"devstack/upgrade/upgrade.sh": `source $GRENADE_DIR/grenaderc
source $GRENADE_DIR/functions
source $(cd $(dirname "$0") && pwd)/common
source $(dirname $(dirname $BASH_SOURCE))/lib/heat BASH_SOURCE
source $TARGET_RELEASE_DIR/heat/devstack/lib/heat TARGET_RELEASE_DIR
source ${GITDIR[heat]}/devstack/lib/heat GITDIR
cat $BASE_RELEASE_DIR/heat/devstack/upgrade/settings $TARGET_RELEASE_DIR/heat/devstack/upgrade/settings
echo "$GRENADE_PLUGINS ${GITREPO[heat]} ${GITBRANCH[heat]}"
`,
	} {
		path := filepath.Join(origin, name)
		g.Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(path, []byte(text), 0o755)).To(Succeed())
	}
	git(t, origin, "add", "--all")
	git(t, origin, "commit", "--quiet", "--message=scripts")
	fetched, err := Fetch(t.Context(), FetchInput{Plugins: c.Plugins, Config: c})
	g.Expect(err).NotTo(HaveOccurred())
	// What a node shows of it (framework/tree/debstack/checkouts.go).
	g.Expect(os.Symlink(fetched[0].Checkout().Dir, w.root+"/new/heat")).To(Succeed())
	g.Expect(os.Symlink(fetched[0].Checkout().BaseDir, w.root+"/old/heat")).To(Succeed())
	g.Expect(os.WriteFile(w.grenade+"/pluginrc", []byte(c.PluginrcForScripts()), 0o644)).To(Succeed())

	command, err := ScriptCommand(ScriptInput{Path: c.Plugins[0].UpgradeDir() + "/upgrade.sh", Environ: w.environ()})
	g.Expect(err).NotTo(HaveOccurred())
	command.Timeout = 20 * time.Second
	said := w.said(t, command)
	g.Expect(said).To(Equal("common\nfrom BASH_SOURCE\nfrom TARGET_RELEASE_DIR\nfrom GITDIR\n" +
		"register_project_for_upgrade old-heat\nregister_project_for_upgrade heat\n,heat file://" + origin + " stable/2025.1\n"))
}
