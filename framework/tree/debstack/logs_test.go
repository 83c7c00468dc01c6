package debstack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/exec"
	"grenade/framework/log"
	"grenade/framework/node"
)

// Neutron is not selected in each run: what is not there is told, and no failure.
func TestTheNetworkIsShownAsFarAsThereIsOne(t *testing.T) {
	g := NewWithT(t)
	show := osexec.CommandContext(t.Context(), "sh", "-c", networkState)
	show.Env = []string{"PATH=" + t.TempDir()}
	said, err := show.CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(said)).To(And(
		HavePrefix("== ip -oneline link\n"), ContainSubstring("\n== ovs-vsctl show\n"),
		ContainSubstring("\n== ovs-ofctl -O OpenFlow13 dump-flows br-int\n"), HaveSuffix("exit code 127\n"),
	))
}

// fakeLogged is a node that says of everything how often it was asked, and a secret.
type fakeLogged struct {
	upper string
	asked int
}

func (f *fakeLogged) Upper() string { return f.upper }

func (f *fakeLogged) Run(_ context.Context, command node.Command) (exec.Result, error) {
	f.asked++
	return exec.Result{}, os.WriteFile(command.Log, fmt.Appendf(nil, "%s: answer %d, password", command.Args[0], f.asked), 0o600)
}

// Destroy takes the network away before logs are collected for the last time.
func TestTheNetworkIsKeptAsItWasFirst(t *testing.T) {
	g := NewWithT(t)
	from, saveDir, dir := &fakeLogged{upper: t.TempDir()}, t.TempDir(), filepath.Join(t.TempDir(), "logs/node")
	publish := log.Publisher{Hide: func(text []byte) []byte { return bytes.ReplaceAll(text, []byte("password"), []byte("***")) }}
	api := filepath.Join(from.upper, "var/log/glance/api.log")
	g.Expect(os.MkdirAll(filepath.Dir(api), 0o755)).To(Succeed())
	for _, said := range []string{"first", "second"} {
		g.Expect(os.WriteFile(api, []byte(said+" password"), 0o600)).To(Succeed())
		g.Expect(collectLogs(t.Context(), from, []string{"glance"}, saveDir, publish, dir)).To(Succeed())
	}
	for name, text := range map[string]string{"journal.log": "journalctl: answer 3, ***", "network.log": "sh: answer 2, ***", "glance/api.log": "second ***"} {
		published, err := os.ReadFile(filepath.Join(dir, name))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(published)).To(Equal(text), name)
	}
}
