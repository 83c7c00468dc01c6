package debstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// fakeClient is an installation of a fake client, with a server for it from
// the embedded tree, and a command that asks this server.
type fakeClient struct {
	dir     string
	real    string // the installed command
	command string // the one that asks the server
	socket  string
	server  *exec.Cmd
	ended   chan struct{}
	log     serverLog
}

// python is the interpreter that Debian's scripts name.
const python = "/usr/bin/python3"

// serverLog is the file that the server writes to itself. A pipe would hold what it said
// before a call ended until somebody has read it, and the call would not be counted.
type serverLog string

func (l serverLog) String() string {
	text, err := os.ReadFile(string(l))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// newFakeClient installs the fake client, and the tools of the embedded tree
// with their paths changed to the test's.
func newFakeClient(t *testing.T) *fakeClient {
	t.Helper()
	g := NewWithT(t)
	if _, err := os.Stat(python); err != nil {
		t.Skipf("there is no %s: %v", python, err)
	}
	dir := t.TempDir()
	// Another user has to reach it, too.
	g.Expect(os.Chmod(filepath.Dir(dir), 0o755)).To(Succeed())
	tree, err := NewTree()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(tree.Write(filepath.Join(dir, "tree"), os.Getuid(), os.Getgid())).To(Succeed())
	g.Expect(os.CopyFS(filepath.Join(dir, "installed"), os.DirFS("testdata/openstackclient"))).To(Succeed())
	f := &fakeClient{
		dir: dir, real: filepath.Join(dir, "installed/command"), command: filepath.Join(dir, "tree/tools/openstack-cli/openstack"),
		socket: filepath.Join(dir, "socket"), log: serverLog(filepath.Join(dir, "log")),
	}
	g.Expect(os.Chmod(f.real, 0o755)).To(Succeed())
	text, err := os.ReadFile(f.command)
	g.Expect(err).NotTo(HaveOccurred())
	for old, replacement := range map[string]string{
		`REAL = "/usr/bin/openstack"`: fmt.Sprintf("REAL = %q", f.real), `SOCKET = "/run/openstack-cli/socket"`: fmt.Sprintf("SOCKET = %q", f.socket),
	} {
		g.Expect(bytes.Count(text, []byte(old))).To(Equal(1), old)
		text = bytes.ReplaceAll(text, []byte(old), []byte(replacement))
	}
	g.Expect(os.WriteFile(f.command, text, 0o755)).To(Succeed())
	return f
}

// serve starts the server, and returns when it listens.
func (f *fakeClient) serve(t *testing.T) *fakeClient {
	t.Helper()
	g := NewWithT(t)
	// The test's own context ends before its cleanup.
	f.server = exec.CommandContext(context.Background(), python, filepath.Join(f.dir, "tree/tools/openstack-cli/serve"), f.socket, f.real)
	f.server.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
	f.server.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	said, err := os.Create(string(f.log))
	g.Expect(err).NotTo(HaveOccurred())
	f.server.Stderr = said
	g.Expect(f.server.Start()).To(Succeed())
	g.Expect(said.Close()).To(Succeed()) // the server has its own
	f.ended = make(chan struct{})
	go func() {
		_ = f.server.Wait() // ProcessState tells
		close(f.ended)
	}()
	t.Cleanup(func() {
		_ = f.server.Process.Kill()
		<-f.ended
		if t.Failed() {
			t.Logf("the server said:\n%s", f.log)
		}
	})
	g.Eventually(func() error {
		select {
		case <-f.ended:
			return fmt.Errorf("the server ended: %s", f.log)
		default:
		}
		if _, err := os.Stat(f.socket); err != nil {
			return fmt.Errorf("not yet: %w", err)
		}
		return nil
	}).WithTimeout(30 * time.Second).Should(Succeed())
	return f
}

// served counts the calls that the server has run.
func (f *fakeClient) served() int { return strings.Count(f.log.String(), ": served\n") }

// outcome is all that somebody who runs a command learns of it.
type outcome struct {
	stdout, stderr string
	how            string
	files          map[string]string
}

// call is a way to run a command.
type call struct {
	name    string
	args    []string
	shell   string // run by bash, which finds the command in $c; instead of args
	stdin   string
	env     []string
	dir     string // made, below the test's own
	user    uint32
	refused bool // by the server: runs the installed command
}

// run runs the call with the installed command or with the one that asks the server.
func (f *fakeClient) run(t *testing.T, c call, command string) outcome {
	t.Helper()
	g := NewWithT(t)
	dir := filepath.Join(f.dir, "work")
	g.Expect(os.RemoveAll(dir)).To(Succeed())
	g.Expect(os.MkdirAll(filepath.Join(dir, c.dir), 0o777)).To(Succeed())
	g.Expect(os.Chmod(dir, 0o777)).To(Succeed())
	args := append([]string{command}, c.args...)
	if c.shell != "" {
		args = []string{"bash", "-c", c.shell}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = filepath.Join(dir, c.dir)
	cmd.Env = append([]string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + f.dir, "c=" + command, "a=é\xff"}, c.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.user != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: c.user, Gid: c.user + 1, Groups: []uint32{c.user + 2, c.user + 3}}
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.stdin), &stdout, &stderr
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("%s: %v", c.name, err)
	}
	g.Expect(ctx.Err()).NotTo(HaveOccurred(), "%s: %s%s", c.name, &stdout, &stderr)
	seen := outcome{stdout: stdout.String(), stderr: stderr.String(), how: cmd.ProcessState.String(), files: map[string]string{}}
	seen.stdout = strings.ReplaceAll(seen.stdout, command, "COMMAND")
	seen.stdout = strings.ReplaceAll(seen.stdout, f.real, "COMMAND")
	seen.stderr = strings.ReplaceAll(seen.stderr, command, "COMMAND")
	seen.stderr = strings.ReplaceAll(seen.stderr, f.real, "COMMAND")
	left, err := filepath.Glob(filepath.Join(dir, c.dir, "*"))
	g.Expect(err).NotTo(HaveOccurred())
	for _, path := range left {
		text, err := os.ReadFile(path)
		if errors.Is(err, syscall.EISDIR) {
			continue
		}
		g.Expect(err).NotTo(HaveOccurred())
		seen.files[filepath.Base(path)] = string(text)
	}
	return seen
}

// difference lists the lines in which two outcomes differ.
func difference(expected, seen outcome) []string {
	all := []string{}
	compare := func(what, expected, seen string) {
		one, other := strings.Split(expected, "\n"), strings.Split(seen, "\n")
		for i := range max(len(one), len(other)) {
			var a, b string
			if i < len(one) {
				a = one[i]
			}
			if i < len(other) {
				b = other[i]
			}
			if a != b {
				all = append(all, fmt.Sprintf("%s:%d: expected %q, seen %q", what, i+1, a, b))
			}
		}
	}
	compare("stdout", expected.stdout, seen.stdout)
	compare("stderr", expected.stderr, seen.stderr)
	compare("how it ended", expected.how, seen.how)
	for name, text := range seen.files {
		if _, both := expected.files[name]; !both {
			compare("file "+name, "(none)", text)
		}
	}
	for name, text := range expected.files {
		compare("file "+name, text, seen.files[name])
	}
	return all
}
