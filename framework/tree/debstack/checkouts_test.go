package debstack

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/node"
	"grenade/framework/tree"
)

func TestCheckoutsAreSeenInTheNodeWhereScriptsLookForThem(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to the user stack")
	}
	g := NewWithT(t)
	host, upper, root := t.TempDir(), t.TempDir(), t.TempDir()
	write := func(path, text string) {
		g.Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(path, []byte(text), 0o644)).To(Succeed())
	}
	heat, oldHeat, mine, shown := host+"/plugins/heat", host+"/plugins/.base/heat", host+"/mine", host+"/projects"
	for _, dir := range []string{heat, oldHeat, mine} {
		write(dir+"/devstack/upgrade/settings", "")
	}
	g.Expect(os.Symlink("/etc/passwd", heat+"/link")).To(Succeed())
	write(root+"/etc/gitconfig", "[user]\n\tname = root\n")
	for _, side := range []string{"old", "new"} {
		g.Expect(os.MkdirAll(upper+"/opt/stack/"+side, 0o755)).To(Succeed())
	}
	checkouts := []tree.Checkout{
		{Name: "heat", Dir: heat, BaseDir: oldHeat, Give: true},
		{Name: "mine", Dir: mine, BaseDir: mine, ReadOnly: true},
		{Dir: shown, BaseDir: shown, ReadOnly: true},
	}
	cloud := &Cloud{base: &Root{Path: root}, options: CloudOptions{Config: &config.Config{StackRoot: "/opt/stack"}, Checkouts: checkouts}}

	g.Expect(checkoutBinds(checkouts)).To(Equal([]node.Bind{
		{Source: heat, Target: heat}, {Source: oldHeat, Target: oldHeat}, {Source: mine, Target: mine, ReadOnly: true},
		{Source: shown, Target: shown, ReadOnly: true},
	}))
	for range 2 { // a copied layer holds the links already
		g.Expect(cloud.prepareCheckouts(upper)).To(Succeed())
		for link, want := range map[string]string{"new/heat": heat, "old/heat": oldHeat, "new/mine": mine, "old/mine": mine} {
			g.Expect(os.Readlink(upper+"/opt/stack/"+link)).To(Equal(want), link)
		}
		linked, err := os.ReadDir(upper + "/opt/stack/new")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(linked).To(HaveLen(2), "what has no name is only shown")
		config, err := os.ReadFile(upper + "/etc/gitconfig")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(config)).To(HavePrefix("[user]\n\tname = root\n[safe]\n"))
		for _, dir := range []string{heat, oldHeat, mine} {
			g.Expect(string(config)).To(ContainSubstring("\tdirectory = \"" + dir + "\"\n"))
		}
	}
	for path, want := range map[string]int{heat + "/devstack/upgrade/settings": StackUID, oldHeat: StackUID, mine: 0, "/etc/passwd": 0} {
		info, err := os.Stat(path)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(info.Sys()).To(HaveField("Uid", BeEquivalentTo(want)), path)
	}
}

// A plugin must not take the place of the tree itself, say.
func TestACheckoutDoesNotReplaceWhatTheNodeHolds(t *testing.T) {
	g := NewWithT(t)
	upper := t.TempDir()
	g.Expect(os.MkdirAll(upper+"/opt/stack/new/devstack", 0o755)).To(Succeed())
	g.Expect(os.MkdirAll(upper+"/opt/stack/old", 0o755)).To(Succeed())
	mine := t.TempDir()
	cloud := &Cloud{base: &Root{Path: t.TempDir()}, options: CloudOptions{
		Config: &config.Config{StackRoot: "/opt/stack"}, Checkouts: []tree.Checkout{{Name: "devstack", Dir: mine, BaseDir: mine}},
	}}
	g.Expect(cloud.prepareCheckouts(upper)).To(MatchError("checkout of plugin devstack: devstack is taken in the node by something else than a plugin's checkout"))
}
