package node_test

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/exec"
	"grenade/framework/node"
)

func TestLocal(t *testing.T) {
	g := NewWithT(t)
	me, err := user.Current()
	g.Expect(err).NotTo(HaveOccurred())
	local := node.NewLocal("local-run", "")
	g.Expect(local.Kind()).To(Equal("local"))
	g.Expect(local.HostPath("/etc/hosts")).To(Equal("/etc/hosts"))
	g.Expect(local.Address()).To(Equal("127.0.0.1"))
	g.Expect(node.NewLocal("", "192.0.2.7").Address()).To(Equal("192.0.2.7"))

	t.Setenv("GRENADE_TEST_INHERITED", "yes")
	env := strings.Split(output(t, local, as(me.Username, bash("exec env"))), "\n")
	g.Expect(env).To(ContainElements("GRENADE_RUN=local-run", "GRENADE_TEST_INHERITED=yes", HavePrefix("GRENADE_SCRIPT=")))
	c := as(me.Username, bash("pwd; echo $A"))
	c.Dir, c.Env = "/usr", []string{"PATH=/usr/bin:/bin", "A=1"}
	g.Expect(output(t, local, c)).To(Equal("/usr\n1"))

	_, err = local.Run(t.Context(), as("nobody-of-that-name", bash("true")))
	g.Expect(err).To(MatchError(ContainSubstring("nobody-of-that-name")))
}

func TestLocalBecomesAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become another user without sudo")
	}
	g := NewWithT(t)
	local := node.NewLocal("local-run", "")
	log := filepath.Join(t.TempDir(), "log")
	c := as("nobody", bash("id -un; id -G; echo again >>/dev/stderr; exit 9"))
	c.Log = log
	result, err := local.Run(t.Context(), c)
	g.Expect(result.ExitCode).To(Equal(9))
	nobody, lookupErr := user.Lookup("nobody")
	g.Expect(lookupErr).NotTo(HaveOccurred())
	g.Expect(result.Tail).To(Equal([]string{"nobody", nobody.Gid, "again"}))
	var failed *exec.Error
	g.Expect(errors.As(err, &failed)).To(BeTrue())
	g.Expect(failed.Args).To(Equal(c.Args))
	g.Expect(output(t, local, bash("id -un"))).To(Equal("root"), "root is the default")
}
