package debstack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// targetNode is one whose tree is the target's, with a root that needs no mount, for a project whose checkout is elsewhere.
func targetNode(t *testing.T) fakeNode {
	t.Helper()
	g := NewWithT(t)
	node := newFakeNode(t, `enable_service notes-api
DEBSTACK_ROOT=$STACK_ROOT/new/root DEBSTACK_SIDE=target
`)
	node.write("stack/old/devstack/projects/notes", `# projects/notes: a fixture.
# packages: notes-common
# config: notes bind
# state: notes
`)
	node.write("stack/new/root/usr/bin/notes-manage", "#!/bin/sh\n")
	node.write("stack/new/root/usr/bin/other", "#!/bin/sh\n")
	node.write("stack/new/root/etc/debstack/aligned", "")
	node.write("elsewhere/notes/devstack/plugin.sh", "")
	g.Expect(os.Symlink(filepath.Join(node.dir, "elsewhere/notes"), filepath.Join(node.dir, "stack/new/notes"))).To(Succeed())
	g.Expect(os.Symlink(filepath.Join(node.dir, "elsewhere"), filepath.Join(node.dir, "stack/new/no-checkout"))).To(Succeed())
	return node
}

// A target's root that is mounted, in which nothing else is.
const mounted = `
debstack_prepare_target() { echo prepared; }
mountpoint() { [[ $2 == "$DEBSTACK_ROOT" ]]; }
source() { [[ $1 == */lib/target ]] || builtin source "$@"; }
builtin source lib/target
debstack_prepare_target() { echo prepared; }
`

func TestAProjectsProgramsRunInTheTargetsRootOnWhatBaseKnows(t *testing.T) {
	g := NewWithT(t)
	node := targetNode(t)
	said, err := node.script(mounted + "setup_develop $DEST/notes")
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(said).To(Equal("prepared\n"))
	const root = "NODE/stack/new/root"
	var want []string
	for _, dir := range []string{"NODE/stack", "NODE/elsewhere/notes"} {
		want = append(want, "mount --bind --make-private "+dir+" "+root+dir)
	}
	g.Expect(strings.Split(strings.TrimSpace(node.calls()), "\n")).To(Equal(want), "of the config only what is there: here, nothing")

	g.Expect(filepath.Join(node.tree, "bin/other")).NotTo(BeAnExistingFile())
	said, err = node.run("bin/notes-manage", "db", "sync two words")
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(node.calls()).To(MatchRegexp(`\nchroot --userspec=\d+:\d+ --groups=[\d,]+ ` + root +
		` env -i HOME=NODE/stack LANG=C.UTF-8 PATH=\S+ /usr/bin/notes-manage db sync two words\n$`))
}

func TestAProcessOfAPluginRunsInTheTargetsRoot(t *testing.T) {
	g := NewWithT(t)
	node := targetNode(t)
	said, err := node.script(mounted + `run_process notes-api "$(get_python_exec_prefix)/new-program --x" notes "" "A=b"
run_process notes-sink "$(get_python_exec_prefix)/not-enabled"
process_unit notes-api "/bin/sh -c x"`)
	g.Expect(err).NotTo(HaveOccurred(), said)
	settings := "RootDirectory=" + node.dir + "/stack/new/root\nMountAPIVFS=no\nRuntimeDirectory=\nCacheDirectory=\n"
	g.Expect(node.read("etc/systemd/system/devstack@notes-api.service")).To(Equal(`[Unit]
Description=Devstack devstack@notes-api.service
[Service]
User=stack
Restart=always
Group=notes
Environment=A=b
` + settings + `ExecStart=/usr/bin/env /usr/bin/new-program --x
[Install]
WantedBy=multi-user.target
`))
	g.Expect(node.dir + "/running/devstack@notes-api").To(BeAnExistingFile())
	g.Expect(node.dir + "/running/devstack@notes-sink").NotTo(BeAnExistingFile())
	g.Expect(said).To(ContainSubstring("ExecStart=/bin/sh -c x\n"), "what both sides have needs no other to find it")
}

func TestAProcessOfAPluginAtBaseRunsInTheNodesOwnSystem(t *testing.T) {
	g := NewWithT(t)
	node := newFakeNode(t, "enable_service notes-api\n")
	said, err := node.script(`run_process notes-api "$(get_python_exec_prefix)/notes-api"; run_process notes-api relative || :`)
	g.Expect(err).To(HaveOccurred())
	g.Expect(said).To(ContainSubstring("the command needs an absolute path: relative"))
	g.Expect(node.read("etc/systemd/system/devstack@notes-api.service")).To(Equal(`[Unit]
Description=Devstack devstack@notes-api.service
[Service]
User=stack
Restart=always
ExecStart=/usr/bin/notes-api
[Install]
WantedBy=multi-user.target
`))
}

func TestAUnitIsFoundByItsAlias(t *testing.T) {
	g := NewWithT(t)
	node := newFakeNode(t, "")
	said, err := node.script(`grep() { [[ $* == *Alias=bind9.service* ]] && echo /usr/lib/systemd/system/named.service; }
aliased_unit bind9; aliased_unit bind9.service; aliased_unit apache2; restart_service bind9; start_service apache2`)
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(said).To(Equal("named.service\nnamed.service\napache2\n"))
	g.Expect(node.calls()).To(Equal("systemctl restart named.service\nsystemctl start apache2\n"))
}
