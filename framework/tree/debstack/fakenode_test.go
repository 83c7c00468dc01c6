package debstack

import (
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// fakeNode is a directory in which a tree's scripts run as in a node: testdata/node has the commands that would need one.
type fakeNode struct {
	t   *testing.T
	dir string
	// dest is the release's directory, and tree the tree in it.
	dest, tree string
}

// newFakeNode makes a node whose tree has that local.conf, in which DEST is set already.
func newFakeNode(t *testing.T, localConf string) fakeNode {
	t.Helper()
	g := NewWithT(t)
	dir := t.TempDir()
	node := fakeNode{t: t, dir: dir, dest: filepath.Join(dir, "stack/old"), tree: filepath.Join(dir, "stack/old/devstack")}
	shell, err := NewTree()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(shell.Write(node.tree, os.Getuid(), os.Getgid())).To(Succeed())
	node.write("stack/old/devstack/local.conf", "[[local|localrc]]\nDEST="+node.dest+"\nSTACK_ROOT="+filepath.Join(dir, "stack")+`
ADMIN_PASSWORD=a DATABASE_PASSWORD=b RABBIT_PASSWORD=c SERVICE_PASSWORD=d ENABLED_SERVICES=
`+localConf)
	for _, known := range []string{"usr/local/bin", "etc/apache2/sites-available", "etc/tmpfiles.d", "etc/sudoers.d", "etc/systemd/system/multi-user.target.wants", "run"} {
		g.Expect(os.MkdirAll(filepath.Join(dir, known), 0o755)).To(Succeed())
	}
	return node
}

// write makes a file below the node's directory; what begins with #! may be run.
func (n fakeNode) write(path, text string) {
	n.t.Helper()
	path = filepath.Join(n.dir, path)
	NewWithT(n.t).Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
	NewWithT(n.t).Expect(os.WriteFile(path, []byte(text), 0o755)).To(Succeed())
}

// read is a file's text, "" when there is none.
func (n fakeNode) read(path string) string {
	n.t.Helper()
	text, err := os.ReadFile(filepath.Join(n.dir, path))
	if !os.IsNotExist(err) {
		NewWithT(n.t).Expect(err).NotTo(HaveOccurred())
	}
	return string(text)
}

// run runs a command in the tree, and returns what it says, with the node's directory called NODE.
func (n fakeNode) run(arguments ...string) (string, error) {
	n.t.Helper()
	commands, err := filepath.Abs("testdata/node")
	NewWithT(n.t).Expect(err).NotTo(HaveOccurred())
	command := osexec.CommandContext(n.t.Context(), arguments[0], arguments[1:]...)
	command.Dir = n.tree
	command.Env = []string{"PATH=" + commands + ":" + os.Getenv("PATH"), "NODE=" + n.dir, "HOME=" + n.dir, "LANG=C.UTF-8"}
	said, err := command.CombinedOutput()
	return strings.ReplaceAll(string(said), n.dir, "NODE"), err
}

// script runs lines of bash as a plugin's script has them, after the tree's stackrc.
func (n fakeNode) script(lines string) (string, error) {
	n.t.Helper()
	return n.run("bash", "-ec", "source stackrc; source lib/stack; source lib/apache\n"+lines)
}

// calls is what root was asked for.
func (n fakeNode) calls() string { return strings.ReplaceAll(n.read("calls"), n.dir, "NODE") }
