package node_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	osexec "os/exec"
	"path/filepath"
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
