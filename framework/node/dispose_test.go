package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/framework/node/nodetest"
)

// TestDisposalIsQuick is a test of its own: where the host's init is slow to reap orphans, those of commands that
// were ended just before hold up the kernel's end of the container.
func TestDisposalIsQuick(t *testing.T) {
	g := NewWithT(t)
	c := nodetest.Config(t)
	n := nodetest.Start(t, c)
	started := time.Now()
	g.Expect(n.Dispose(t.Context())).To(Succeed())
	took := time.Since(started)
	t.Logf("disposed of in %s", took.Round(time.Millisecond))
	g.Expect(took).To(BeNumerically("<", 1500*time.Millisecond), "nothing had to be waited for")
	expectNothingLeft(t, c)
}

func TestNodeThatDiesDuringACommand(t *testing.T) {
	g := NewWithT(t)
	c := nodetest.Config(t)
	n := nodetest.Start(t, c)
	command := bash("echo ready; sleep 1000")
	command.OnLine = func(string) { _ = n.Leader().Signal(9) }
	_, err := n.Run(t.Context(), command)
	g.Expect(errors.Is(err, node.ErrGone)).To(BeTrue(), "%v", err)
	g.Expect(n.Dispose(t.Context())).To(Succeed())
	expectNothingLeft(t, c)
}

// TestKilledSupervisor kills what keeps the container: nothing of the node may stay, and nothing that is not
// written down is needed to remove it.
func TestKilledSupervisor(t *testing.T) {
	g := NewWithT(t)
	c := nodetest.Config(t)
	n := nodetest.Start(t, c)
	g.Expect(supervisor(t, c.Dir).Signal(9)).To(Succeed())
	g.Expect(supervisor(t, c.Dir).Wait(t.Context())).To(Succeed())

	what, err := node.DisposeLeftovers(t.Context(), c.Dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(what).To(ContainSubstring("node " + c.Machine + " of run " + c.RunID))
	g.Expect(n.Alive()).To(BeFalse())
	expectNothingLeft(t, c)
}

// supervisor reads the systemd-nspawn process from node.json.
func supervisor(t *testing.T, dir string) exec.Process {
	t.Helper()
	var written struct {
		Supervisor exec.Process `json:"supervisor"`
	}
	data, err := os.ReadFile(filepath.Join(dir, "node.json"))
	if err == nil {
		err = json.Unmarshal(data, &written)
	}
	if err != nil {
		t.Fatal(err)
	}
	return written.Supervisor
}

// startVariable makes this test binary a process that starts the node described there, and then waits to be
// killed.
const startVariable = "GRENADE_TEST_START"

func TestMain(m *testing.M) {
	if text := os.Getenv(startVariable); text != "" {
		var c node.NspawnConfig
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			panic(err)
		}
		c.Prepare = func(upper string) error { return nodetest.Prepare(c.Root, upper) }
		n, err := node.Start(context.Background(), c)
		if err != nil {
			panic(err)
		}
		command := as("stack", bash("sudo -n setsid sleep 1000 & echo booted; sleep 1000"))
		command.OnLine = func(line string) { _, _ = os.Stdout.WriteString(line + "\n") }
		_, err = n.Run(context.Background(), command)
		panic(err)
	}
	os.Exit(m.Run())
}

// TestStarterKilled kills the process that starts a node, at several moments.
func TestStarterKilled(t *testing.T) {
	for name, reached := range map[string]func(c node.NspawnConfig, stdout string) bool{
		"before anything is known":   func(c node.NspawnConfig, _ string) bool { return exists(c.Dir, "node.json") },
		"when systemd-nspawn starts": func(c node.NspawnConfig, _ string) bool { return mentions(c.Dir, "supervisor") },
		"when the boot starts":       func(c node.NspawnConfig, _ string) bool { return mentions(c.Dir, "leader") },
		"when it is up":              func(_ node.NspawnConfig, stdout string) bool { return exists("", stdout) && size(stdout) > 0 },
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			c := nodetest.Config(t)
			stdout := filepath.Join(t.TempDir(), "stdout")
			given := c
			given.Prepare = nil
			text, err := json.Marshal(struct {
				node.NspawnConfig
				Prepare any `json:",omitempty"`
			}{NspawnConfig: given})
			g.Expect(err).NotTo(HaveOccurred())
			out, err := os.Create(stdout)
			g.Expect(err).NotTo(HaveOccurred())
			defer out.Close()
			starter := osexec.CommandContext(t.Context(), os.Args[0])
			starter.Env = append(os.Environ(), startVariable+"="+string(text), "GRENADE_RUN="+c.RunID)
			starter.Stdout, starter.Stderr = out, os.Stderr
			g.Expect(starter.Start()).To(Succeed())
			g.Eventually(func() bool { return reached(c, stdout) }, "60s", "1ms").Should(BeTrue())
			g.Expect(starter.Process.Kill()).To(Succeed())
			_ = starter.Wait()

			if name == "when it is up" {
				n, err := node.Attach(c.Dir)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(output(t, n, bash("hostname"))).To(Equal(c.Machine), "the node outlives its starter")
			}
			what, err := node.DisposeLeftovers(t.Context(), c.Dir)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(what).To(ContainSubstring("node " + c.Machine))
			expectNothingLeft(t, c)
		})
	}
}

// TestStrangersAreSpared: a process that has, by now, the number of one of the node's is not touched.
func TestStrangersAreSpared(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to dispose of a node")
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	for name, differ := range map[string]struct {
		start uint64
		boot  string
	}{
		"another start time": {1, strings.TrimSpace(string(boot))},
		"another boot":       {0, "00000000-0000-0000-0000-000000000000"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			stranger := osexec.CommandContext(t.Context(), "sleep", "1000")
			g.Expect(stranger.Start()).To(Succeed())
			defer func() { _, _ = stranger.Process.Kill(), stranger.Wait() }()
			p, err := exec.FindProcess(stranger.Process.Pid)
			g.Expect(err).NotTo(HaveOccurred())

			dir := filepath.Join(t.TempDir(), "node")
			g.Expect(os.Mkdir(dir, 0o700)).To(Succeed())
			process := `{"pid": ` + strconv.Itoa(p.PID) + `, "start_time": ` + strconv.FormatUint(p.StartTime-differ.start, 10) + `}`
			written := `{"run": "test-gone", "machine": "gt-gone", "link": "gt-gone", "address": "10.98.0.2/24", "boot": "` + differ.boot +
				`", "supervisor": ` + process + `, "leader": ` + process + `}`
			g.Expect(os.WriteFile(filepath.Join(dir, "node.json"), []byte(written), 0o600)).To(Succeed())

			_, err = node.Attach(dir)
			g.Expect(errors.Is(err, node.ErrGone)).To(BeTrue(), "%v", err)
			what, err := node.DisposeLeftovers(t.Context(), dir)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(what).To(ContainSubstring("node gt-gone of run test-gone (dead)"))
			g.Expect(p.Alive()).To(BeTrue())
			g.Expect(dir).NotTo(BeADirectory())
		})
	}
}

func TestLeftoversWithoutARecord(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to read other processes' environments")
	}
	g := NewWithT(t)
	dir := filepath.Join(t.TempDir(), "node")
	g.Expect(os.MkdirAll(filepath.Join(dir, "upper"), 0o700)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(dir, "node.json"), []byte("{half"), 0o600)).To(Succeed())
	child := osexec.CommandContext(t.Context(), "sleep", "1000")
	child.Env = []string{node.DirVariable + "=" + dir}
	g.Expect(child.Start()).To(Succeed())
	reaped := make(chan error, 1)
	go func() { reaped <- child.Wait() }()
	what, err := node.DisposeLeftovers(t.Context(), dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(what).To(And(ContainSubstring("node.json"), ContainSubstring("directory "+dir)))
	g.Eventually(reaped, "10s").Should(Receive(MatchError(ContainSubstring("killed"))))
	g.Expect(dir).NotTo(BeADirectory())
}
