package node_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
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

func bash(script string, args ...string) node.Command {
	return node.Command{Command: exec.Command{Args: append([]string{"bash", "-c", script, "test"}, args...), Timeout: time.Minute}}
}

func as(user string, c node.Command) node.Command {
	c.User = user
	return c
}

// output runs a command and gives its stdout without the last newline.
func output(t *testing.T, n node.Node, c node.Command) string {
	t.Helper()
	out, err := n.Output(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(out), "\n")
}

func expectNothingLeft(t *testing.T, c node.NspawnConfig) {
	t.Helper()
	left, err := nodetest.Leftovers(context.WithoutCancel(t.Context()), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range left {
		t.Errorf("left behind: %s", one)
	}
}

func mountTable(t *testing.T) string {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return string(table)
}

// TestNspawn boots one node, looks at it from all sides, and disposes of it.
func TestNspawn(t *testing.T) {
	c := nodetest.Config(t)
	shared, readOnly := t.TempDir(), t.TempDir()
	NewWithT(t).Expect(os.WriteFile(filepath.Join(readOnly, "file"), []byte("from the host\n"), 0o644)).To(Succeed())
	c.Binds = []node.Bind{{Source: shared, Target: "/srv/shared: with blank"}, {Source: readOnly, ReadOnly: true}}
	t.Setenv("GRENADE_TEST_HOST_ONLY", "leaked")
	n := nodetest.Start(t, c)

	t.Run("is a machine of its own", func(t *testing.T) {
		g := NewWithT(t)
		g.Expect(n.Kind()).To(Equal("nspawn"))
		g.Expect(output(t, n, bash("systemctl is-system-running || true"))).To(BeElementOf("running", "degraded"))
		g.Expect(output(t, n, bash("hostname; cat /proc/1/comm"))).To(Equal(c.Machine + "\nsystemd"))
		g.Expect(output(t, n, bash("systemctl is-enabled systemd-networkd apt-daily.timer || true"))).To(Equal("masked\nmasked"))
		g.Expect(output(t, n, bash("stat -c %a,%U / /etc /etc/sudoers.d/grenade"))).To(Equal("755,root\n755,root\n440,root"))
		g.Expect(output(t, n, bash("visudo -cf /etc/sudoers.d/grenade >&2; wc -c </etc/resolv.conf"))).To(Equal("0"))
	})

	t.Run("shows its files to the host", func(t *testing.T) {
		g := NewWithT(t)
		output(t, n, bash("echo inside >/srv/made"))
		g.Expect(os.ReadFile(n.HostPath("/srv/made"))).To(BeEquivalentTo("inside\n"))
		g.Expect(os.ReadFile(n.HostPath(filepath.Join(readOnly, "file")))).To(BeEquivalentTo("from the host\n"))
	})

	t.Run("leaves no mount on the host", func(t *testing.T) {
		g := NewWithT(t)
		g.Expect(mountTable(t)).NotTo(ContainSubstring(c.Dir))
		_, err := os.Stat(filepath.Join(c.Root, "srv/shared: with blank"))
		g.Expect(errors.Is(err, fs.ErrNotExist)).To(BeTrue(), "the root is never written to")
	})

	t.Run("gives commands exactly their environment", func(t *testing.T) {
		g := NewWithT(t)
		standard := strings.Split(output(t, n, as("stack", bash("exec env"))), "\n")
		g.Expect(standard).To(ContainElements("HOME=/opt/stack", "USER=stack", "LANG=C.UTF-8", "TERM=dumb", "GRENADE_RUN="+c.RunID,
			ContainSubstring("GRENADE_SCRIPT=")))
		g.Expect(standard).NotTo(ContainElement(ContainSubstring("HOST_ONLY")))

		given := bash("exec env")
		given.Env = []string{"PATH=/usr/bin:/bin", "VALUE=two words and 'quotes'"}
		given.Cookie = "GRENADE_SCRIPT=mine"
		names := strings.Split(output(t, n, given), "\n")
		g.Expect(names).To(ContainElements("VALUE=two words and 'quotes'", "GRENADE_SCRIPT=mine", "PATH=/usr/bin:/bin"))
		g.Expect(names).NotTo(ContainElement(HavePrefix("HOME=")))
	})

	t.Run("keeps values of the environment out of command lines", func(t *testing.T) {
		g := NewWithT(t)
		c := as("stack", bash("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c [s]ecret-value || true; echo $SECRET"))
		c.Env = []string{"PATH=/usr/bin:/bin", "SECRET=secret-value"}
		g.Expect(output(t, n, c)).To(Equal("0\nsecret-value"))

		seen := ""
		c = bash("echo ready; read -r _ < <(sleep 1000)")
		c.Env = []string{"PATH=/usr/bin:/bin", "SECRET=secret-value"}
		ctx, cancel := context.WithCancel(t.Context())
		c.OnLine = func(string) {
			entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
			g.Expect(err).NotTo(HaveOccurred())
			for _, entry := range entries {
				line, _ := os.ReadFile(entry)
				seen += string(line)
			}
			cancel()
		}
		_, err := n.Run(ctx, c)
		g.Expect(errors.Is(err, context.Canceled)).To(BeTrue())
		g.Expect(seen).To(ContainSubstring("nsenter"))
		g.Expect(seen).NotTo(ContainSubstring("secret-value"))
	})

	t.Run("runs commands as the user, in the directory", func(t *testing.T) {
		g := NewWithT(t)
		g.Expect(output(t, n, bash("id -un; pwd; umask"))).To(Equal("root\n/\n0022"))
		in := as("stack", bash("id -un; id -gn; pwd; sudo -n id -un"))
		in.Dir = "/usr/share"
		g.Expect(output(t, n, in)).To(Equal("stack\nstack\n/usr/share\nroot"))
		g.Expect(output(t, n, as("stack", bash(`test "$(sudo -n printenv GRENADE_RUN GRENADE_SCRIPT)" = "$(printenv GRENADE_RUN GRENADE_SCRIPT)"; echo $?`)))).To(Equal("0"), "sudo keeps the cookies")

		_, err := n.Run(t.Context(), as("nobody-of-that-name", bash("true")))
		g.Expect(err).To(MatchError(ContainSubstring(`the node has no user "nobody-of-that-name"`)))
		in.Dir = "/nowhere"
		result, err := n.Run(t.Context(), in)
		g.Expect(err).To(MatchError(ContainSubstring("/nowhere")))
		g.Expect(result.ExitCode).To(Equal(126))
	})

	t.Run("tells how commands end", func(t *testing.T) {
		g := NewWithT(t)
		log := filepath.Join(t.TempDir(), "log")
		c := as("stack", bash("echo one; echo two >>/dev/stderr; exit 7"))
		c.Log = log
		var lines []string
		c.OnLine = func(line string) { lines = append(lines, line) }
		result, err := n.Run(t.Context(), c)
		g.Expect(result.ExitCode).To(Equal(7))
		g.Expect(lines).To(Equal([]string{"one", "two"}))
		var failed *exec.Error
		g.Expect(errors.As(err, &failed)).To(BeTrue())
		g.Expect(failed.Args).To(Equal(c.Args), "the error speaks of the command, not of the way into the node")
		g.Expect(os.ReadFile(log)).To(BeEquivalentTo("one\ntwo\n"))

		result, err = n.Run(t.Context(), bash("kill -KILL $$"))
		g.Expect(err).To(HaveOccurred())
		g.Expect(result.ExitCode).To(Equal(137))

		missing := node.Command{Command: exec.Command{Args: []string{"no-such-program"}}}
		result, err = n.Run(t.Context(), missing)
		g.Expect(result.ExitCode).To(Equal(127))
		g.Expect(err).To(MatchError(ContainSubstring("no-such-program")))

		c = bash("cat")
		c.Stdin = []byte("input\n")
		g.Expect(output(t, n, c)).To(Equal("input"))
	})

	t.Run("ends everything of a command that hangs", func(t *testing.T) {
		g := NewWithT(t)
		c := as("stack", bash(`
			setsid bash -c 'trap "" TERM; while :; do sleep 1; done' &
			sudo -n setsid sleep 987654 &
			sudo -n bash -c 'setsid setsid sleep 987655' &
			bash -c 'trap "" TERM; while :; do sleep 1; done' &
			until pgrep -xf 'sleep 987654' && pgrep -xf 'sleep 987655'; do sleep 0.05; done
			echo all there
			sleep 1000`))
		c.Cookie, c.Timeout, c.Grace = "GRENADE_SCRIPT=hanging-"+n.RunID(), time.Minute, time.Second
		ctx, cancel := context.WithCancel(t.Context())
		c.OnLine = func(line string) {
			if line == "all there" {
				cancel()
			}
		}
		result, err := n.Run(ctx, c)
		g.Expect(errors.Is(err, context.Canceled)).To(BeTrue(), "%v", err)
		g.Expect(result.Tail).To(ContainElement("all there"))
		g.Expect(result.Duration).To(BeNumerically("<", 30*time.Second))
		left, err := exec.FindCookie(t.Context(), "GRENADE_SCRIPT", "hanging-"+n.RunID())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(left).To(BeEmpty())
		g.Expect(output(t, n, bash("pgrep -axf 'sleep 98765[45]' || true"))).To(BeEmpty())
	})

	t.Run("leaves a daemon that a command started", func(t *testing.T) {
		g := NewWithT(t)
		result, err := n.Run(t.Context(), as("stack", bash("setsid sleep 876543 & echo started")))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(result.Tail).To(Equal([]string{"started"}))
		g.Expect(output(t, n, bash("pgrep -xfc 'sleep 876543'"))).To(Equal("1"))
	})

	t.Run("shows what was bound", func(t *testing.T) {
		g := NewWithT(t)
		g.Expect(output(t, n, bash(`cat "$1"; echo hello >"/srv/shared: with blank/answer"`, filepath.Join(readOnly, "file")))).To(Equal("from the host"))
		g.Expect(os.ReadFile(filepath.Join(shared, "answer"))).To(BeEquivalentTo("hello\n"))
		_, err := n.Run(t.Context(), bash(`echo x >"$1"/new`, readOnly))
		g.Expect(err).To(MatchError(ContainSubstring("Read-only file system")))
	})

	t.Run("is reached at its address", func(t *testing.T) {
		g := NewWithT(t)
		g.Expect(n.Address()).To(Equal(c.Address.Addr().String()))
		g.Expect(node.AddressTaken(c.Address)).To(MatchError(ContainSubstring("interface " + n.Link() + " has ")))
		_, err := n.Run(t.Context(), bash(`cd /etc; systemd-run --quiet --working-directory=/etc python3 -m http.server --bind "$1" 8081`, n.Address()))
		g.Expect(err).NotTo(HaveOccurred())
		g.Eventually(func() (string, error) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.Address()+":8081/hostname", nil)
			if err != nil {
				return "", err
			}
			response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
			if err != nil {
				return "", err
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			return string(body), err
		}, "20s", "100ms").Should(Equal(c.Machine + "\n"))

		server, err := new(net.ListenConfig).Listen(t.Context(), "tcp", c.Address.Masked().Addr().Next().String()+":0")
		g.Expect(err).NotTo(HaveOccurred())
		defer func() { _ = server.Close() }()
		go func() {
			if connection, err := server.Accept(); err == nil {
				_, _ = connection.Write([]byte("the host\n"))
				_ = connection.Close()
			}
		}()
		_, port, err := net.SplitHostPort(server.Addr().String())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(output(t, n, bash(`gateway=$(ip -4 route show default | cut -d" " -f3); read -r line <"/dev/tcp/$gateway/$1"; echo "$line"`, port))).To(Equal("the host"))
	})

	t.Run("is entered by a shell", func(t *testing.T) {
		g := NewWithT(t)
		args := n.ShellArgs("stack", []string{"PATH=/usr/bin:/bin", "A=b c"}, "bash", "-c", `hostname; id -un; echo "$A"`)
		out, err := osexec.CommandContext(t.Context(), args[0], args[1:]...).Output()
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(out)).To(Equal(c.Machine + "\nstack\nb c\n"))
		g.Expect(n.ShellArgs("", nil)[len(n.ShellArgs("", nil))-2:]).To(Equal([]string{"bash", "--login"}))
	})

	t.Run("is written down, privately", func(t *testing.T) {
		g := NewWithT(t)
		for path, mode := range map[string]fs.FileMode{"": 0o700, "node.json": 0o600} {
			info, err := os.Stat(filepath.Join(c.Dir, path))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(info.Mode().Perm()).To(Equal(mode))
		}
		again, err := node.Attach(c.Dir)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(again.Address()).To(Equal(n.Address()))
		g.Expect(output(t, again, bash("hostname"))).To(Equal(c.Machine))
	})

	t.Run("is there once", func(t *testing.T) {
		g := NewWithT(t)
		_, err := node.Start(t.Context(), c)
		g.Expect(err).To(MatchError(ContainSubstring("dispose of it first")))
		other := c
		other.Dir = filepath.Join(t.TempDir(), "other")
		_, err = node.Start(t.Context(), other)
		g.Expect(err).To(MatchError(ContainSubstring("interface named " + c.Machine)))
		g.Expect(other.Dir).NotTo(BeADirectory())
	})

	t.Run("can be read after its death, and is gone after its disposal", func(t *testing.T) {
		g := NewWithT(t)
		_, err := n.Run(t.Context(), bash("echo last words >/var/log/last; logger -t grenade-test journal words; journalctl --sync"))
		g.Expect(err).NotTo(HaveOccurred())
		leader := n.Leader()

		started := time.Now()
		g.Expect(n.Kill(t.Context())).To(Succeed())
		killed := time.Since(started)
		g.Expect(leader.Alive()).To(BeFalse())
		g.Expect(os.ReadFile(filepath.Join(n.Upper(), "var/log/last"))).To(BeEquivalentTo("last words\n"))
		journals, err := filepath.Glob(filepath.Join(n.Upper(), "var/log/journal/*/system.journal"))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(journals).To(HaveLen(1))

		_, err = n.Run(t.Context(), bash("true"))
		g.Expect(errors.Is(err, node.ErrGone)).To(BeTrue(), "%v", err)
		_, err = node.Attach(c.Dir)
		g.Expect(errors.Is(err, node.ErrGone)).To(BeTrue(), "%v", err)

		started = time.Now()
		g.Expect(n.Dispose(t.Context())).To(Succeed())
		t.Logf("killed in %s, removed in %s", killed.Round(time.Millisecond), time.Since(started).Round(time.Millisecond))
		expectNothingLeft(t, c)
		g.Expect(n.Dispose(t.Context())).To(Succeed(), "twice is fine")
		_, err = node.Attach(c.Dir)
		g.Expect(errors.Is(err, fs.ErrNotExist)).To(BeTrue())
		what, err := node.DisposeLeftovers(t.Context(), c.Dir)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(what).To(BeEmpty())
		g.Expect(node.AddressTaken(c.Address)).To(Succeed())
	})
}

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

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

func mentions(dir, word string) bool {
	data, err := os.ReadFile(filepath.Join(dir, "node.json"))
	return err == nil && strings.Contains(string(data), `"`+word+`"`)
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// TestBootFails: what goes wrong is told at once, with what the console said, and leaves nothing that runs.
func TestBootFails(t *testing.T) {
	replaceInit := func(script string) func(root, upper string) error {
		return func(root, upper string) error {
			return node.PutFile(root, upper, "/usr/lib/systemd/systemd", []byte(script), 0o755)
		}
	}
	for name, c := range map[string]struct {
		prepare func(root, upper string) error
		limit   time.Duration
		says    []string
		within  time.Duration
	}{
		"systemd dies": {
			replaceInit("#!/bin/sh\necho no such luck\nexit 3\n"), 0,
			[]string{"systemd-nspawn ended", "no such luck"}, 10 * time.Second,
		},
		"Prepare fails": {
			func(string, string) error { return errors.New("no disk left") }, 0,
			[]string{"prepare the node's files: no disk left"}, 5 * time.Second,
		},
		"a unit hangs": {
			func(root, upper string) error {
				return errors.Join(nodetest.Prepare(root, upper),
					node.PutFile(root, upper, "/etc/systemd/system/sleepy.service", []byte("[Service]\nType=oneshot\nExecStart=/bin/sleep 1000\n"), 0o644),
					node.PutLink(root, upper, "/etc/systemd/system/multi-user.target.wants/sleepy.service", "../sleepy.service"))
			}, 6 * time.Second,
			[]string{"not ready within 6s", "sleepy.service start running", "state: starting"}, 20 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			config := nodetest.Config(t)
			config.Prepare = func(upper string) error { return c.prepare(config.Root, upper) }
			config.BootTimeout = c.limit
			started := time.Now()
			n, err := node.Start(t.Context(), config)
			g.Expect(n).To(BeNil())
			for _, says := range c.says {
				g.Expect(err).To(MatchError(ContainSubstring(says)))
			}
			g.Expect(time.Since(started)).To(BeNumerically("<", c.within))
			left, err := nodetest.Leftovers(t.Context(), config)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(left).To(ConsistOf("directory "+config.Dir), "the evidence, and nothing else")
			_, err = node.DisposeLeftovers(t.Context(), config.Dir)
			g.Expect(err).NotTo(HaveOccurred())
			expectNothingLeft(t, config)
		})
	}
}

func TestBootIsCancelled(t *testing.T) {
	g := NewWithT(t)
	c := nodetest.Config(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("the user pressed Ctrl-C")
	result := make(chan error, 1)
	go func() {
		_, err := node.Start(ctx, c)
		result <- err
	}()
	g.Eventually(func() bool { return mentions(c.Dir, "leader") }, "60s", "1ms").Should(BeTrue())
	cancel(stop)
	var err error
	g.Eventually(result, "30s").Should(Receive(&err))
	g.Expect(errors.Is(err, stop)).To(BeTrue(), "%v", err)
	_, err = node.DisposeLeftovers(t.Context(), c.Dir)
	g.Expect(err).NotTo(HaveOccurred())
	expectNothingLeft(t, c)
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

func TestMistakesInTheConfiguration(t *testing.T) {
	g := NewWithT(t)
	_, err := node.Start(t.Context(), node.NspawnConfig{
		RunID: "a b", Dir: "relative", Root: t.TempDir(), Machine: "much-too-long-a-name",
		Binds: []node.Bind{{Source: "/nowhere/at/all"}},
	})
	for _, says := range []string{`run id "a b"`, `directory "relative"`, "no root file system with systemd", `name "much-too-long-a-name"`, "address", "/nowhere/at/all"} {
		g.Expect(err).To(MatchError(ContainSubstring(says)), "all of them at once")
	}
}
