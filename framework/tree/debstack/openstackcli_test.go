package debstack

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

func TestOpenStackCommandServedIsLikeTheInstalledOne(t *testing.T) {
	f := newFakeClient(t).serve(t)
	behave := func(words ...string) []string { return append([]string{"behave"}, words...) }
	calls := []call{
		{name: "all that a process is", args: []string{"report", "", "a b", "é", "\xff\xfe", "--x=$y\n"}},
		{name: "in another directory", args: []string{"report"}, dir: "dé\xff ir"},
		{name: "in a directory that is gone", shell: `rmdir ../gone; exec "$c" behave returns 0`, dir: "gone", refused: true},
		{name: "with another home", args: []string{"report"}, env: []string{"HOME=/nonexistent", "XDG_CONFIG_HOME=/etc"}},
		{name: "without a home", shell: `unset HOME; exec "$c" report`},
		{name: "with a home at the root", args: []string{"report"}, env: []string{"HOME=/"}},
		{name: "with hardly any environment", shell: `exec env -i LANG=C.UTF-8 "$c" report`},
		{name: "in the locale C but for characters", args: []string{"report"}, env: []string{"LANG=C", "LC_TIME=POSIX", "LC_CTYPE=C.utf8"}},
		{name: "in the locale C.UTF-8 for all", args: []string{"report"}, env: []string{"LANG=C", "LC_ALL=C.UTF-8"}},
		{name: "with a variable of DevStack's", args: []string{"report"}, env: []string{"PYTHON3_VERSION=3.11"}},
		{name: "in another time zone", args: []string{"report"}, env: []string{"TZ=Asia/Tokyo"}},
		{name: "with another umask, priority, limits and processors", shell: `umask 027; ulimit -Sn 100; ulimit -c 0; ulimit -s 4096
			exec nice -n 19 taskset 1 "$c" report priority`},
		{name: "with ignored signals", shell: `trap '' HUP INT USR1; exec "$c" report`},
		{name: "in the background", shell: `"$c" report & wait $!`},
		{name: "with more descriptors", shell: `exec 3<<<three 17>seventeen; exec "$c" report`},
		{name: "descriptor of a pipe", shell: `exec "$c" behave descriptor <(echo from a pipe)`},
		{name: "descriptor that holds a lock", shell: `exec 9>lock; flock 9; "$c" behave copy <lock; flock -n lock true; echo $?`},
		{name: "stdin", args: behave("copy"), stdin: strings.Repeat("any\x00thing\xff", 50000)},
		{name: "stdin from the middle of a file", shell: `printf 'one\ntwo\nthree\n' >f; { read -r; "$c" behave position; } <f`},
		{name: "stdin is left where the command left it", shell: `printf 'one\ntwo\n' | { "$c" behave returns 0; cat; }`},
		{name: "appending", shell: `echo before >out; "$c" behave returns 1 >>out 2>&1; "$c" behave raises >>out 2>&1; cat out`},
		{name: "one file for both", shell: `exec "$c" behave raises >both 2>&1`},
		{name: "success", args: behave("returns", "0")},
		{name: "nothing returned", args: behave("returns", "None")},
		{name: "an exit code", args: behave("returns", "7")},
		{name: "a big exit code", args: behave("returns", "1027")},
		{name: "a negative exit code", args: behave("returns", "-1")},
		{name: "truth as an exit code", args: behave("returns", "True")},
		{name: "text as an exit code", args: behave("returns", "'text'")},
		{name: "an end without Python's", args: behave("exits_at_once", "9")},
		{name: "an exception", args: behave("raises")},
		{name: "an interrupt that nobody handles", args: behave("raises", "interrupt")},
		{name: "no such command", args: []string{"nonsense"}},
		{name: "a command that cannot be loaded", args: []string{"missing"}},
		{name: "a command that speaks when it is loaded", args: []string{"noisy"}},
		{name: "a warning", args: behave("warns")},
		{name: "at exit", args: behave("at_exit")},
		{name: "what is written at the very end", args: behave("leaves_open", "file")},
		{name: "a reader that has enough", shell: `"$c" behave much | head -n 1; echo "${PIPESTATUS[@]}"`},
		{name: "a reader that was never there", shell: `"$c" behave copy <<<text | sleep 0; echo "${PIPESTATUS[@]}"`},
		{name: "a full disk", shell: `exec "$c" behave copy <<<text >/dev/full`},
		{name: "killed by TERM from inside", args: behave("dies", "15")},
		{name: "killed by KILL from inside", args: behave("dies", "9")},
		{name: "killed by SEGV from inside", shell: `ulimit -c 0; exec "$c" behave dies 11`},
		{name: "interrupted", shell: `set -m; "$c" behave waits pid & while [[ ! -e pid ]]; do sleep 0.01; done
			rm pid; kill -INT $!; wait $!`},
		{name: "terminated", shell: `"$c" behave waits pid & while [[ ! -e pid ]]; do sleep 0.01; done
			read -r _ child <pid; rm pid; kill -TERM $!; wait $!; status=$?; kill $child; echo $status`},
		{name: "out of time", shell: `timeout --signal=USR1 1 "$c" behave waits pid; status=$?
			read -r _ child <pid; rm pid; kill $child; echo $status`},

		{name: "no arguments", refused: true},
		{name: "a closed stdin", shell: `exec "$c" behave returns 3 <&-`, refused: true},
		{name: "a closed stdout", shell: `exec "$c" behave returns 3 >&-`, refused: true},
		{name: "a setting of Python's", args: []string{"report"}, env: []string{"PYTHONIOENCODING=latin-1"}, refused: true},
		{name: "a setting of the loader's", args: behave("returns", "0"), env: []string{"LD_LIBRARY_PATH=/nonexistent"}, refused: true},
		{name: "a variable that an import has read", args: []string{"report"}, env: []string{"FAKE_SETTING=1"}, refused: true},
		{name: "the locale C for all", args: []string{"report"}, env: []string{"LC_ALL=C"}, refused: true},
		{name: "the locale C", args: []string{"report"}, env: []string{"LANG=C"}, refused: true},
		{name: "the locale C for characters", args: []string{"report"}, env: []string{"LC_CTYPE=POSIX"}, refused: true},
		{name: "the locale C, and Python told not to mind", args: []string{"report"}, env: []string{"LANG=C", "PYTHONCOERCECLOCALE=0"}, refused: true},
		{name: "no locale", shell: `unset LANG; exec "$c" report`, refused: true},
		{name: "a locale that need not be there", args: []string{"report"}, env: []string{"LC_ALL=de_DE.UTF-8"}, refused: true},
		{name: "a language", args: []string{"report"}, env: []string{"LANGUAGE=de"}, refused: true},
		{name: "modules of the user's own", shell: `mkdir -p "$(/usr/bin/python3 -m site --user-site)"; exec "$c" behave returns 0`,
			env: []string{"HOME=" + filepath.Join(f.dir, "work")}, refused: true},
		{name: "a limit of its size", shell: `ulimit -v 4000000; exec "$c" behave returns 0`, refused: true},
		{name: "completion", args: behave("returns", "0", "complete"), refused: true},
		{name: "too many descriptors", shell: `for i in {3..300}; do eval "exec $i<&0"; done; exec "$c" behave returns 0`, refused: true},
		{name: "a terminal", shell: `script --quiet --return --command '"$c" behave returns 3' /dev/null; echo $?`, refused: true},
	}
	if os.Getuid() == 0 {
		calls = append(calls,
			call{name: "another user", args: []string{"report"}, user: 4711},
			call{name: "another user who writes a file", args: behave("leaves_open", "file"), user: 4711},
			call{name: "another network", shell: `exec unshare --net "$c" behave returns 0`, refused: true},
			call{name: "another file system", shell: `exec unshare --mount "$c" behave returns 0`, refused: true},
			call{name: "other processes", shell: `exec unshare --pid --fork "$c" behave returns 0`, refused: true},
			call{name: "fewer privileges", shell: `exec setpriv --bounding-set=-sys_time --inh-caps=-all "$c" behave returns 0`, refused: true},
			call{name: "no new privileges", shell: `exec setpriv --no-new-privs "$c" behave returns 0`, refused: true},
			call{name: "two identities", shell: `exec setpriv --ruid=4711 "$c" behave returns 0`, refused: true},
		)
	}
	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) {
			g := NewWithT(t)
			expected := f.run(t, c, f.real)
			before := f.served()
			seen := f.run(t, c, f.command)
			g.Expect(difference(expected, seen)).To(BeEmpty())
			if c.refused {
				g.Expect(f.served()).To(Equal(before), "the server ran it")
			} else {
				g.Expect(f.served()).To(BeNumerically(">", before), "the server did not run it: %s", f.log)
			}
		})
	}
}

func TestOpenStackCommandsAtTheSameTime(t *testing.T) {
	g := NewWithT(t)
	f := newFakeClient(t).serve(t)
	const many = 50
	seen := f.run(t, call{name: "many", shell: fmt.Sprintf(
		`for i in {1..%d}; do "$c" behave copy <<<"$i" >"$i" & done; for i in {1..%[1]d}; do "$c" report random ../numbers >/dev/null & done; wait`, many)}, f.command)
	g.Expect(seen.stderr).To(BeEmpty())
	for i := 1; i <= many; i++ {
		g.Expect(seen.files[strconv.Itoa(i)]).To(Equal(strconv.Itoa(i) + "\n"))
	}
	g.Expect(f.served()).To(Equal(2 * many))
	numbers, err := os.ReadFile(filepath.Join(f.dir, "numbers"))
	g.Expect(err).NotTo(HaveOccurred())
	different := map[string]bool{}
	for _, number := range strings.Fields(string(numbers)) {
		different[number] = true
	}
	g.Expect(different).To(HaveLen(many), "each draws its own random numbers")
}

// waiting starts a call that waits, and returns it with the processes that do its work.
func (f *fakeClient) waiting(t *testing.T) (*exec.Cmd, *bytes.Buffer, []int) {
	t.Helper()
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "processes")
	cmd := exec.CommandContext(t.Context(), f.command, "behave", "waits", path)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stderr := &bytes.Buffer{}
	cmd.Stderr = stderr
	g.Expect(cmd.Start()).To(Succeed())
	var processes []int
	g.Eventually(func() error {
		file, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("not yet: %w", err)
		}
		defer func() { _ = file.Close() }()
		scanner := bufio.NewScanner(file)
		scanner.Split(bufio.ScanWords)
		for scanner.Scan() {
			process, err := strconv.Atoi(scanner.Text())
			g.Expect(err).NotTo(HaveOccurred())
			processes = append(processes, process)
		}
		return nil
	}).WithTimeout(20 * time.Second).Should(Succeed())
	g.Expect(processes).To(HaveLen(2))
	return cmd, stderr, processes
}

// gone says that none of the processes is alive.
func gone(processes []int) error {
	for _, process := range processes {
		if err := unix.Kill(process, 0); !errors.Is(err, unix.ESRCH) {
			state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
			if fields := strings.Fields(string(state)); len(fields) > 2 && fields[2] == "Z" {
				continue // it is dead; whose child it was has not looked yet
			}
			return fmt.Errorf("process %d is alive", process)
		}
	}
	return nil
}

func TestOpenStackCommandThatIsKilledLeavesNothing(t *testing.T) {
	f := newFakeClient(t).serve(t)
	for _, number := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSEGV} {
		t.Run(number.String(), func(t *testing.T) {
			g := NewWithT(t)
			cmd, _, processes := f.waiting(t)
			g.Expect(cmd.Process.Signal(number)).To(Succeed())
			_ = cmd.Wait() // ProcessState tells
			g.Expect(cmd.ProcessState.String()).To(HavePrefix("signal: " + number.String()))
			g.Eventually(func() error { return gone(processes) }).Should(Succeed())
		})
	}
}

func TestOpenStackCommandOutlivedByNoServer(t *testing.T) {
	g := NewWithT(t)
	f := newFakeClient(t).serve(t)
	cmd, stderr, processes := f.waiting(t)
	g.Expect(f.server.Process.Kill()).To(Succeed())
	g.Expect(cmd.Wait()).NotTo(Succeed())
	g.Expect(cmd.ProcessState.ExitCode()).To(Equal(1))
	g.Expect(stderr.String()).To(ContainSubstring("the server that ran the command was ended"))
	g.Eventually(func() error { return gone(processes[:1]) }).Should(Succeed())
	_ = unix.Kill(processes[1], unix.SIGKILL) // a process of the command's own, as without a server

	// The socket is still there, and nobody behind it.
	g.Expect(f.socket).To(BeAnExistingFile())
	c := call{name: "no server", args: []string{"behave", "returns", "7"}}
	g.Expect(f.run(t, c, f.command)).To(Equal(f.run(t, c, f.real)))
	g.Expect(os.Remove(f.socket)).To(Succeed())
	g.Expect(f.run(t, c, f.command)).To(Equal(f.run(t, c, f.real)))
}

func TestOpenStackServerEndsWhenTheClientChanges(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"a module is written": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "openstackclient/shell.py"), []byte("def main():\n    print('new')\n    return 5\n"), 0o644)
		},
		"a package is added": func(dir string) error {
			return os.Mkdir(filepath.Join(dir, "other-1.0.dist-info"), 0o755)
		},
		"commands are added": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "fake_client-1.0.dist-info/entry_points.txt"), nil, 0o644)
		},
		"the command goes": func(dir string) error { return os.Remove(filepath.Join(dir, "command")) },
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			f := newFakeClient(t).serve(t)
			cmd, _, _ := f.waiting(t)
			c := call{name: name, args: []string{"behave", "returns", "7"}}
			g.Expect(f.run(t, c, f.command).how).To(Equal("exit status 7"))
			before := f.served()
			g.Expect(change(filepath.Dir(f.real))).To(Succeed())
			seen := f.run(t, c, f.command)
			if _, err := os.Stat(f.real); err == nil {
				g.Expect(seen).To(Equal(f.run(t, c, f.real)))
			} else {
				g.Expect(seen.how).To(Equal("exit status 127"))
			}
			g.Expect(f.served()).To(Equal(before))
			g.Expect(f.socket).NotTo(BeAnExistingFile())
			g.Consistently(f.ended).WithTimeout(200*time.Millisecond).ShouldNot(BeClosed(), "a call is being served")
			g.Expect(cmd.Process.Signal(syscall.SIGINT)).To(Succeed())
			g.Expect(cmd.Wait()).NotTo(Succeed())
			g.Expect(cmd.ProcessState.ExitCode()).To(Equal(130))
			g.Eventually(f.ended).WithTimeout(10 * time.Second).Should(BeClosed())
			g.Expect(f.server.ProcessState.ExitCode()).To(BeZero())
		})
	}
}

// Upstream's grenade.sh makes all of STACK_ROOT the caller's, where it is already.
func TestOpenStackServerOutlivesAnOwnerWhoStays(t *testing.T) {
	g := NewWithT(t)
	f := newFakeClient(t).serve(t)
	c := call{name: "owned anew", args: []string{"behave", "returns", "7"}}
	g.Expect(f.run(t, c, f.command).how).To(Equal("exit status 7"))
	before := f.served()
	g.Expect(os.Chown(f.command, os.Getuid(), os.Getgid())).To(Succeed())
	g.Expect(os.Chown(f.real, os.Getuid(), os.Getgid())).To(Succeed())
	g.Expect(f.run(t, c, f.command).how).To(Equal("exit status 7"))
	g.Expect(f.served()).To(Equal(before + 1))
}

func TestOpenStackServerRefusesWhatItCannotServe(t *testing.T) {
	for name, one := range map[string]struct {
		path, text, says string
	}{
		"a command that is no Python":                {"command", "#!/bin/sh\n", "is no script for"},
		"a client that cannot be loaded":             {"openstackclient/shell.py", "import missing\n", "No module named 'missing'"},
		"a client that speaks when it is loaded":     {"openstackclient/shell.py", "print('hello')\n", "says: hello"},
		"a client that starts a thread":              {"openstackclient/shell.py", "import threading, time\nthreading.Thread(target=time.sleep, args=[60], daemon=True).start()\n", "started a thread"},
		"a client that keeps a file open":            {"openstackclient/shell.py", "file = open('/dev/null')\n", "left a file open"},
		"a module that depends on the directory":     {"fakecommands/report.py", "import os\nos.getcwd()\n", "current directory matters to the import of fakecommands.report"},
		"a module that copies the whole environment": {"fakecommands/report.py", "import os\ndict(os.environ)\n", "whole environment matters to the import of fakecommands.report"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			f := newFakeClient(t)
			g.Expect(os.WriteFile(filepath.Join(filepath.Dir(f.real), one.path), []byte(one.text), 0o644)).To(Succeed())
			cmd := exec.CommandContext(t.Context(), python, filepath.Join(f.dir, "tree/tools/openstack-cli/serve"), f.socket, f.real)
			cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
			out, err := cmd.CombinedOutput()
			g.Expect(err).To(HaveOccurred(), string(out))
			g.Expect(cmd.ProcessState.ExitCode()).To(Equal(78), string(out))
			g.Expect(string(out)).To(ContainSubstring(one.says))
		})
	}
}
