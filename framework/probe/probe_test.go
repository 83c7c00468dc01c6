package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/framework/node/nodetest"
)

func TestParseProcess(t *testing.T) {
	g := NewWithT(t)
	g.Expect(parseProcess(strings.Split("process\tglance-api\t42\t1234567\t/usr/bin/python3.11\t/\tpython3 /usr/bin/glance-api ", "\t"))).To(Equal(Process{
		Unit: "glance-api", PID: 42, StartTime: 1234567, Exe: "/usr/bin/python3.11", Root: "/", Cmdline: "python3 /usr/bin/glance-api",
	}))
	g.Expect(parseProcess(strings.Split("process\tx\t42\t1\t\t/\t", "\t"))).To(Equal(Process{Unit: "x", PID: 42, StartTime: 1, Root: "/"}))
	for _, bad := range []string{"", "process\tx", "unit\tx\t1\t2\t/\t/\tx", "process\tx\tone\t2\t/\t/\tx", "process\tx\t1\ttwo\t/\t/\tx"} {
		_, err := parseProcess(strings.Split(bad, "\t"))
		g.Expect(err).To(HaveOccurred(), bad)
	}
}

func TestParsePackages(t *testing.T) {
	NewWithT(t).Expect(parsePackages("glance\tii \t2:25.1.0-2\nheld\thi \t1\nremoved\trc \t2\nhalf\tiU \t3\nbroken\tiHR\t4\nnonsense\n\n")).To(Equal(
		map[string]string{"glance": "2:25.1.0-2", "held": "1"}))
}

// started runs a transient unit in the node and waits until all of its processes are there.
func started(t *testing.T, n node.Node, unit string, properties ...string) {
	t.Helper()
	args := append([]string{"systemd-run", "--quiet", "--unit=" + unit}, properties...)
	args = append(args, "bash", "-c", "exec -a 'tab\tand\nline' sleep 1000 & sleep 1001 & wait")
	if _, err := n.Run(t.Context(), node.Command{Command: exec.Command{Args: args}}); err != nil {
		t.Fatal(err)
	}
	NewWithT(t).Eventually(func() (string, error) {
		out, err := n.Output(t.Context(), node.Command{Command: exec.Command{Args: []string{"bash", "-c", "cat $(find /sys/fs/cgroup -path '*" + unit + "*' -name cgroup.procs) | wc -l"}}})
		return strings.TrimSpace(string(out)), err
	}, "20s", "50ms").Should(Equal("3"))
}

// TestInANode looks at real units, listeners and packages.
func TestInANode(t *testing.T) {
	c := nodetest.Config(t)
	n := nodetest.Start(t, c)
	ctx := t.Context()

	t.Run("the processes of units", func(t *testing.T) {
		g := NewWithT(t)
		started(t, n, "many.service")
		found, err := Units(ctx, n, []string{"systemd-journald", "many", "not-there-at-all", "many.service"})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(found).To(HaveLen(4))
		g.Expect(found["not-there-at-all"]).To(BeEmpty())
		g.Expect(found["many.service"]).To(HaveLen(3), "a unit may be asked for by two names")

		journald := found["systemd-journald"]
		g.Expect(journald).To(HaveLen(1))
		g.Expect(journald[0].Unit).To(Equal("systemd-journald"))
		g.Expect(journald[0].Exe).To(HaveSuffix("/lib/systemd/systemd-journald"))
		g.Expect(journald[0].Root).To(Equal("/"))
		out, err := n.Output(ctx, node.Command{Command: exec.Command{Args: []string{"bash", "-c",
			"pid=$(systemctl show --property=MainPID --value systemd-journald); echo $pid; cut -d' ' -f22 /proc/$pid/stat"}}})
		g.Expect(err).NotTo(HaveOccurred())
		var pid, start int
		_, err = fmt.Sscan(string(out), &pid, &start)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(journald[0].PID).To(Equal(pid))
		g.Expect(journald[0].StartTime).To(BeEquivalentTo(start))

		again, err := ByPID(ctx, n, []int{pid, 4194304})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(again).To(HaveLen(1), "nobody has a number beyond the kernel's limit")
		expected := journald[0]
		expected.Unit = ""
		g.Expect(again[0]).To(Equal(expected))
		g.Expect(ByPID(ctx, n, nil)).To(BeEmpty())

		var lines []string
		for _, p := range found["many"] {
			lines = append(lines, p.Cmdline)
		}
		g.Expect(lines).To(ContainElements("tab and line 1000", "sleep 1001"))
	})

	t.Run("another root, a sub-group, a slice of its own", func(t *testing.T) {
		g := NewWithT(t)
		// As the target release's root is: an overlay of its own.
		_, err := n.Run(ctx, node.Command{Command: exec.Command{Args: []string{"bash", "-c", `set -eu
			mkdir -p /srv/other /run/layer/upper /run/layer/work
			mount -t overlay -o lowerdir=/,upperdir=/run/layer/upper,workdir=/run/layer/work other /srv/other
			for dir in dev proc sys; do mount --rbind "/$dir" "/srv/other/$dir"; done`}}})
		g.Expect(err).NotTo(HaveOccurred())
		root := "--property=RootDirectory=/srv/other"
		started(t, n, "changed.service", root, "--property=MountAPIVFS=no", "--slice=deep-er.slice", "--property=Delegate=yes")
		started(t, n, "separate.service", root, "--property=PrivateTmp=yes")
		_, err = n.Run(ctx, node.Command{Command: exec.Command{Args: []string{"bash", "-c", `
			set -eu
			group=/sys/fs/cgroup$(systemctl show --property=ControlGroup --value changed.service)
			mkdir "$group/sub"
			pid=$(head -n1 "$group/cgroup.procs")
			echo "$pid" >"$group/sub/cgroup.procs"`}}})
		g.Expect(err).NotTo(HaveOccurred())
		found, err := Units(ctx, n, []string{"changed", "separate", "systemd-logind"})
		g.Expect(err).NotTo(HaveOccurred())
		for _, unit := range []string{"changed", "separate"} {
			g.Expect(found[unit]).To(HaveLen(3))
			for _, p := range found[unit] {
				g.Expect(p.Root).To(Equal("/srv/other"), unit)
				g.Expect(p.Exe).To(MatchRegexp("^/srv/other/usr/bin/(bash|sleep)$"), unit)
			}
		}
		g.Expect(found["systemd-logind"]).To(HaveLen(1))
		g.Expect(found["systemd-logind"][0].Root).To(Equal("/"), "it has a mount namespace of its own, but the node's root")
	})

	t.Run("what a stop left", func(t *testing.T) {
		g := NewWithT(t)
		started(t, n, "survivor.service", "--property=KillMode=process", "--slice=deep-er.slice", "--remain-after-exit")
		_, err := n.Run(ctx, node.Command{Command: exec.Command{Args: []string{"systemctl", "stop", "survivor.service"}}})
		g.Expect(err).NotTo(HaveOccurred())
		found, err := Units(ctx, n, []string{"survivor"})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(found["survivor"]).To(HaveLen(2), "a stopped unit's children are still old code that runs")
	})

	t.Run("who listens", func(t *testing.T) {
		g := NewWithT(t)
		// One socket, two processes: as API servers fork.
		script := "import os,socket,time; s=socket.create_server(('', 8099)); os.fork(); time.sleep(1000)"
		_, err := n.Run(ctx, node.Command{Command: exec.Command{Args: []string{"systemd-run", "--quiet", "--unit=api.service", "python3", "-c", script}}})
		g.Expect(err).NotTo(HaveOccurred())
		var found []Process
		g.Eventually(func() ([]Process, error) {
			var err error
			found, err = Listeners(ctx, n, 8099)
			return found, err
		}, "20s", "50ms").Should(HaveLen(2))
		for _, p := range found {
			g.Expect(p.Unit).To(Equal("api.service"))
			g.Expect(p.Exe).To(ContainSubstring("/python3"))
		}
		g.Expect(Listeners(ctx, n, 8098)).To(BeEmpty())
		_, err = Listeners(ctx, n, 0)
		g.Expect(err).To(HaveOccurred())
	})

	t.Run("packages", func(t *testing.T) {
		g := NewWithT(t)
		found, err := Packages(ctx, n, "", []string{"systemd", "no-such-package"})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(found).To(HaveLen(1))
		g.Expect(found["systemd"]).To(MatchRegexp(`^[0-9]`))
		// Through another root: what is there, not what is here.
		other := filepath.Join("/srv", "packages")
		status := "Package: systemd\nStatus: install ok installed\nVersion: 9999\nArchitecture: all\nMaintainer: x\nDescription: x\n"
		_, err = n.Run(ctx, node.Command{Command: exec.Command{Args: []string{"bash", "-c", `mkdir -p "$1/var/lib/dpkg" && cat >"$1/var/lib/dpkg/status"`, "x", other}, Stdin: []byte(status)}})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(Packages(ctx, n, other, []string{"systemd"})).To(Equal(map[string]string{"systemd": "9999"}))
		_, err = Packages(ctx, n, "/nowhere", []string{"systemd"})
		g.Expect(err).To(MatchError(ContainSubstring("/nowhere/var/lib/dpkg")))
	})

	t.Run("a dead node is an error, not an empty answer", func(t *testing.T) {
		g := NewWithT(t)
		g.Expect(n.Kill(ctx)).To(Succeed())
		_, err := Units(ctx, n, []string{"systemd-journald"})
		g.Expect(errors.Is(err, node.ErrGone)).To(BeTrue())
		_, err = Listeners(ctx, n, 1)
		g.Expect(errors.Is(err, node.ErrGone)).To(BeTrue())
		_, err = Packages(ctx, n, "", nil)
		g.Expect(errors.Is(err, node.ErrGone)).To(BeTrue())
	})
}

func TestUnitNamesAreChecked(t *testing.T) {
	g := NewWithT(t)
	for _, bad := range []string{"", "a b", "-x", "a\nUNITS\nrm", "../x"} {
		_, err := Units(t.Context(), node.NewLocal("", ""), []string{bad})
		g.Expect(err).To(MatchError(ContainSubstring("no name of a unit")), bad)
	}
	g.Expect(Units(t.Context(), node.NewLocal("", ""), nil)).To(BeEmpty())
}

func TestHTTP(t *testing.T) {
	g := NewWithT(t)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/choices":
			w.WriteHeader(http.StatusMultipleChoices)
		case "/moved":
			http.Redirect(w, r, "/broken", http.StatusFound)
		default:
			http.Error(w, "the application was not loaded", http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	g.Expect(HTTP(t.Context(), server.URL+"/choices", OK)).To(Succeed())
	g.Expect(HTTP(t.Context(), server.URL+"/moved", OK)).To(Succeed(), "a redirection is an answer")
	err := HTTP(t.Context(), server.URL+"/broken", OK)
	g.Expect(err).To(MatchError(server.URL + "/broken: unwanted answer: status 500 Internal Server Error"))
	g.Expect(HTTP(t.Context(), server.URL+"/broken", func(status int) bool { return status == 500 })).To(Succeed())
	server.Close()
	g.Expect(HTTP(t.Context(), server.URL, OK)).To(MatchError(And(HavePrefix(server.URL), ContainSubstring("connection refused"))))
	g.Expect(HTTP(t.Context(), "http://[bad", OK)).To(HaveOccurred())
}

func TestWaitHTTP(t *testing.T) {
	g := NewWithT(t)
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	var seen []string
	g.Expect(WaitHTTP(t.Context(), server.URL, OK, func(last string) { seen = append(seen, last) })).To(Succeed())
	g.Expect(seen).To(Equal([]string{"status 503 Service Unavailable", "status 503 Service Unavailable"}))

	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("the API's limit"))
	defer cancel()
	err := WaitHTTP(ctx, server.URL, func(int) bool { return false }, nil)
	g.Expect(err).To(MatchError(And(HavePrefix(server.URL+": not answered as wanted within "),
		ContainSubstring("last seen: status 200 OK"), ContainSubstring("the API's limit"))))
}

func TestWaitHTTPAndASilentServer(t *testing.T) {
	g := NewWithT(t)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = listener.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	started := time.Now()
	err = WaitHTTP(ctx, "http://"+listener.Addr().String(), OK, nil)
	g.Expect(errors.Is(err, context.DeadlineExceeded)).To(BeTrue(), "%v", err)
	g.Expect(time.Since(started)).To(BeNumerically("<", 5*time.Second))
}

func TestPackagesOfThisHost(t *testing.T) {
	if _, err := os.Stat("/var/lib/dpkg/status"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs a Debian host and root")
	}
	g := NewWithT(t)
	found, err := Packages(t.Context(), node.NewLocal("", ""), "/", []string{"dpkg"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found).To(HaveKey("dpkg"))
}

// TestHowLongALookTakes keeps the looking cheap: a phase looks several times.
func TestHowLongALookTakes(t *testing.T) {
	c := nodetest.Config(t)
	n := nodetest.Start(t, c)
	g := NewWithT(t)
	started := time.Now()
	found, err := Units(t.Context(), n, []string{"systemd-journald", "systemd-logind", "dbus"})
	took := time.Since(started)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found["dbus"]).NotTo(BeEmpty())
	t.Logf("three units: %s", took)
	g.Expect(took).To(BeNumerically("<", 3*time.Second))
}
