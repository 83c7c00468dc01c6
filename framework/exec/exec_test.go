package exec_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/exec"
)

// bash is a command that runs the script given as text.
func bash(script string, args ...string) exec.Command {
	return exec.Command{Args: append([]string{"bash", "-c", script, "test"}, args...)}
}

func failure(t *testing.T, err error) *exec.Error {
	t.Helper()
	var failed *exec.Error
	if !errors.As(err, &failed) {
		t.Fatalf("want an *exec.Error, got %v", err)
	}
	return failed
}

// await returns when the condition holds; a test that never gets there fails after ten seconds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	NewWithT(t).Eventually(condition, "10s", "10ms").Should(BeTrue(), what)
}

// pidFrom reads a process number that a script wrote into a file, once it is there.
func pidFrom(t *testing.T, file string) exec.Process {
	t.Helper()
	var p exec.Process
	await(t, "a process number in "+file, func() bool {
		data, err := os.ReadFile(file)
		if err != nil || !strings.HasSuffix(string(data), "\n") {
			return false
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err != nil {
			return false
		}
		p, err = exec.FindProcess(pid)
		return err == nil
	})
	return p
}

func TestExitCodes(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		code   int
	}{
		"success":           {"exit 0", 0},
		"failure":           {"exit 3", 3},
		"largest":           {"exit 255", 255},
		"killed by SIGKILL": {"kill -KILL $$", 137},
		"killed by SIGTERM": {"kill -TERM $$", 143},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			result, err := exec.Run(t.Context(), bash(c.script))
			g.Expect(result.ExitCode).To(Equal(c.code))
			if c.code == 0 {
				g.Expect(err).NotTo(HaveOccurred())
				return
			}
			failed := failure(t, err)
			g.Expect(failed.ExitCode).To(Equal(c.code))
			g.Expect(failed.TimedOut || failed.Cancelled).To(BeFalse())
			g.Expect(err.Error()).To(ContainSubstring(fmt.Sprintf("exit code %d", c.code)))
		})
	}
}

func TestNotStartable(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		NewWithT(t).Expect(os.WriteFile(path, []byte(content), mode)).To(Succeed())
		return path
	}
	for name, c := range map[string]struct {
		command exec.Command
		says    string
		is      error
	}{
		"not in PATH":         {exec.Command{Args: []string{"no-such-thing"}, Env: []string{"PATH=/usr/bin"}}, `program "no-such-thing" not found in PATH=/usr/bin`, fs.ErrNotExist},
		"no such file":        {exec.Command{Args: []string{"/nowhere/x"}}, "program /nowhere/x: not found", fs.ErrNotExist},
		"not executable":      {exec.Command{Args: []string{write("plain", "x", 0o600)}}, "not executable", fs.ErrPermission},
		"a directory":         {exec.Command{Args: []string{dir}}, "is a directory", nil},
		"missing interpreter": {exec.Command{Args: []string{write("script", "#!/nowhere/sh\n", 0o700)}}, "interpreter", nil},
		"no first line":       {exec.Command{Args: []string{write("bare", "echo hi\n", 0o700)}}, "#! line", nil},
		"no directory":        {exec.Command{Args: []string{"true"}, Dir: "/nowhere"}, "working directory", fs.ErrNotExist},
		"nothing":             {exec.Command{}, "no program given", nil},
		"log without a place": {exec.Command{Args: []string{"true"}, Log: "/nowhere/log"}, "/nowhere/log", fs.ErrNotExist},
		"bad cookie":          {exec.Command{Args: []string{"true"}, Cookie: "x"}, "NAME=value", nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			result, err := exec.Run(t.Context(), c.command)
			g.Expect(result.ExitCode).To(Equal(-1))
			g.Expect(failure(t, err).Error()).To(ContainSubstring(c.says))
			g.Expect(err.Error()).To(ContainSubstring("not started"))
			if c.is != nil {
				g.Expect(errors.Is(err, c.is)).To(BeTrue())
			}
		})
	}
}

// Somebody who was forked meanwhile has it open still.
func TestAProgramThatWasJustWrittenIsWaitedFor(t *testing.T) {
	g := NewWithT(t)
	script := filepath.Join(t.TempDir(), "script")
	file, err := os.OpenFile(script, os.O_CREATE|os.O_WRONLY, 0o755)
	g.Expect(err).NotTo(HaveOccurred())
	_, err = file.WriteString("#!/bin/sh\nexit 3\n")
	g.Expect(err).NotTo(HaveOccurred())
	time.AfterFunc(200*time.Millisecond, func() { _ = file.Close() })
	result, err := exec.Run(t.Context(), exec.Command{Args: []string{script}})
	g.Expect(result.ExitCode).To(Equal(3), "%v", err)
}

func TestEnvironmentIsComplete(t *testing.T) {
	g := NewWithT(t)
	t.Setenv("GRENADE_TEST_INHERITED", "yes")
	out, err := exec.Output(t.Context(), exec.Command{Args: []string{"env"}, Env: []string{"PATH=/usr/bin", "A=1"}, Cookie: "C=2"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(strings.Fields(string(out))).To(ConsistOf("PATH=/usr/bin", "A=1", "C=2"))

	out, err = exec.Output(t.Context(), exec.Command{Args: []string{"env"}})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(out)).To(ContainSubstring("GRENADE_TEST_INHERITED=yes"))
}

func TestStdin(t *testing.T) {
	g := NewWithT(t)
	input := strings.Repeat("0123456789abcdef", 1<<16)
	out, err := exec.Output(t.Context(), exec.Command{Args: []string{"cat"}, Stdin: []byte(input)})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(out)).To(Equal(input))

	out, err = exec.Output(t.Context(), exec.Command{Args: []string{"cat"}})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(out).To(BeEmpty())

	_, err = exec.Run(t.Context(), exec.Command{Args: []string{"true"}, Stdin: []byte(input)})
	g.Expect(err).NotTo(HaveOccurred(), "a program that does not read its input")
}

func TestNoTerminal(t *testing.T) {
	g := NewWithT(t)
	_, err := exec.Run(t.Context(), bash("read -r answer </dev/tty"))
	g.Expect(failure(t, err).Error()).To(ContainSubstring("/dev/tty"))
}

func TestLogAndTail(t *testing.T) {
	g := NewWithT(t)
	log := filepath.Join(t.TempDir(), "log")
	g.Expect(os.WriteFile(log, []byte("not ours\n"), 0o600)).To(Succeed())

	c := bash("echo one; echo two >&2; printf three; exit 4")
	c.Log = log
	result, err := exec.Run(t.Context(), c)
	g.Expect(result.Tail).To(Equal([]string{"one", "two", "three"}), "only what this command wrote")
	failed := failure(t, err)
	g.Expect(failed.Tail).To(Equal(result.Tail))
	g.Expect(failed.Error()).To(And(ContainSubstring(`last line: "three"`), ContainSubstring("log: "+log)))
	g.Expect(os.ReadFile(log)).To(BeEquivalentTo("not ours\none\ntwo\nthree"))

	c = bash("seq 1 1000")
	result, err = exec.Run(t.Context(), c)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(result.Tail).To(HaveLen(20))
	g.Expect(result.Tail[0]).To(Equal("981"))
	g.Expect(result.Tail[19]).To(Equal("1000"))

	result, err = exec.Run(t.Context(), bash("true"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(result.Tail).To(BeEmpty())

	result, err = exec.Run(t.Context(), bash(`printf 'a\xffb\r\n'; head -c 1000000 /dev/zero | tr '\0' x; echo; echo end`))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(result.Tail[len(result.Tail)-1]).To(Equal("end"))
	for _, line := range result.Tail {
		g.Expect(len(line)).To(BeNumerically("<", 5000))
	}

	result, err = exec.Run(t.Context(), bash("echo before; echo after >/dev/stderr; echo last"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(result.Tail[len(result.Tail)-1]).To(Equal("last"), "a program that truncates its own log")
}

func TestOutputKeepsTheStreamsApart(t *testing.T) {
	g := NewWithT(t)
	log := filepath.Join(t.TempDir(), "log")
	c := bash("echo data; echo trouble >&2; exit 5")
	c.Log = log
	out, err := exec.Output(t.Context(), c)
	g.Expect(string(out)).To(Equal("data\n"))
	g.Expect(failure(t, err).Tail).To(Equal([]string{"trouble"}))
	g.Expect(os.ReadFile(log)).To(BeEquivalentTo("trouble\n"))

	_, err = exec.Output(t.Context(), bash("echo said on stdout; exit 5"))
	g.Expect(err.Error()).To(ContainSubstring("said on stdout"))
}

func TestOnLineTellsLive(t *testing.T) {
	g := NewWithT(t)
	gate := filepath.Join(t.TempDir(), "gate")
	var lines []string
	c := bash(`echo first; until [ -e "$1" ]; do sleep 0.01; done; echo second; echo third >&2; printf last`, gate)
	c.OnLine = func(line string) {
		lines = append(lines, line)
		if line == "first" {
			// The program goes on only when its first line has been told: told live, or never.
			g.Expect(os.WriteFile(gate, nil, 0o600)).To(Succeed())
		}
	}
	c.Timeout = 20 * time.Second
	_, err := exec.Run(t.Context(), c)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(lines).To(Equal([]string{"first", "second", "third", "last"}))
}

func TestOnLineStartsAtItsOwnOutputAndCutsLongLines(t *testing.T) {
	g := NewWithT(t)
	log := filepath.Join(t.TempDir(), "log")
	g.Expect(os.WriteFile(log, []byte("not ours\n"), 0o600)).To(Succeed())
	var lines []string
	c := bash(`head -c 200000 /dev/zero | tr '\0' x; echo; echo; echo after`)
	c.Log, c.OnLine = log, func(line string) { lines = append(lines, line) }
	_, err := exec.Run(t.Context(), c)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(lines).To(Equal([]string{strings.Repeat("x", exec.MaxLine) + "…", "", "after"}))
}

func TestHugeOutput(t *testing.T) {
	g := NewWithT(t)
	log := filepath.Join(t.TempDir(), "log")
	const size = 200 << 20
	var told int
	c := bash(fmt.Sprintf("yes 'one line of a talkative program' | head -c %d; echo; echo done", size))
	c.Log, c.Timeout = log, 2*time.Minute
	c.OnLine = func(string) { told++ }
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	result, err := exec.Run(t.Context(), c)
	g.Expect(err).NotTo(HaveOccurred())
	runtime.ReadMemStats(&after)
	g.Expect(told).To(BeNumerically(">", 6_000_000))
	g.Expect(result.Tail).To(HaveLen(20))
	g.Expect(result.Tail[19]).To(Equal("done"))
	info, err := os.Stat(log)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(info.Size()).To(BeNumerically(">", size))
	g.Expect(after.HeapSys-min(before.HeapSys, after.HeapSys)).To(BeNumerically("<", 32<<20), "memory does not grow with the output")
}

func TestDaemonHoldingStdoutDoesNotHoldUs(t *testing.T) {
	g := NewWithT(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	c := bash(`setsid sleep 1000 & echo $! >"$1"; echo started`, pidFile)
	c.Timeout = 30 * time.Second
	result, err := exec.Run(t.Context(), c)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(result.Tail).To(Equal([]string{"started"}))
	g.Expect(result.Duration).To(BeNumerically("<", 10*time.Second))
	daemon := pidFrom(t, pidFile)
	g.Expect(daemon.Alive()).To(BeTrue(), "a daemon that a successful command started is left alone")
	g.Expect(daemon.Signal(9)).To(Succeed())
	g.Expect(daemon.Wait(t.Context())).To(Succeed())
}

func TestTimeoutEndsEverything(t *testing.T) {
	for name, child := range map[string]string{
		"child in the group":            `sleep 1000`,
		"child that ignores TERM":       `bash -c 'trap "" TERM; while :; do sleep 1; done'`,
		"stopped child":                 `bash -c 'kill -STOP $$; sleep 1000'`,
		"child in a group of its own":   `bash -c 'set -m; sleep 1000 & wait'`,
		"child in a session of its own": `setsid bash -c 'trap "" TERM; while :; do sleep 1; done'`,
		"grandchild of a dead parent":   `setsid bash -c 'setsid sleep 1000 & exec sleep 1000'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			cookie := fmt.Sprintf("GRENADE_TEST_COOKIE=%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), " ", "-"))
			key, value, _ := strings.Cut(cookie, "=")
			c := bash(child + ` & echo waiting; wait; sleep 1000`)
			c.Timeout, c.Grace, c.Cookie = 2*time.Second, 300*time.Millisecond, cookie
			result, err := exec.Run(t.Context(), c)
			failed := failure(t, err)
			g.Expect(failed.TimedOut).To(BeTrue())
			g.Expect(failed.Limit).To(Equal(c.Timeout))
			g.Expect(errors.Is(err, exec.ErrTimeout)).To(BeTrue())
			g.Expect(err.Error()).To(ContainSubstring("killed at its limit of 2s"))
			g.Expect(result.Tail).To(Equal([]string{"waiting"}))
			g.Expect(result.ExitCode).To(Equal(143))
			g.Expect(result.Duration).To(BeNumerically("<", 10*time.Second))
			left, err := exec.FindCookie(t.Context(), key, value)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(left).To(BeEmpty())
		})
	}
}

func TestWithoutCookieTheSessionStillEnds(t *testing.T) {
	g := NewWithT(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	c := bash(`set -m; sleep 1000 & echo $! >"$1"; wait`, pidFile)
	c.Timeout, c.Grace = 2*time.Second, 200*time.Millisecond
	_, err := exec.Run(t.Context(), c)
	g.Expect(failure(t, err).TimedOut).To(BeTrue())
	data, err := os.ReadFile(pidFile)
	g.Expect(err).NotTo(HaveOccurred())
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	g.Expect(err).NotTo(HaveOccurred())
	_, err = exec.FindProcess(pid)
	g.Expect(errors.Is(err, os.ErrNotExist)).To(BeTrue())
}

func TestGraceLetsAProgramCleanUp(t *testing.T) {
	g := NewWithT(t)
	c := bash(`trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.05; done`)
	c.Timeout, c.Grace = 2*time.Second, 20*time.Second
	var lines []string
	c.OnLine = func(line string) { lines = append(lines, line) }
	result, err := exec.Run(t.Context(), c)
	g.Expect(failure(t, err).TimedOut).To(BeTrue(), "an exit code of 0 after the limit is no success")
	g.Expect(result.ExitCode).To(Equal(0))
	g.Expect(result.Duration).To(BeNumerically("<", 15*time.Second), "the grace is a limit, not a wait")
	// Where the signal meets its sleep, and not the moment between two, bash reports the end of that, too.
	lines = slices.DeleteFunc(lines, func(line string) bool { return line == "Terminated" })
	g.Expect(lines).To(HaveExactElements("ready", "cleaned"))
}

func TestAStoppedProgramCanCleanUp(t *testing.T) {
	g := NewWithT(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := bash(`trap 'echo cleaned; exit 0' TERM; echo $$; kill -STOP $$; while :; do sleep 0.05; done`)
	c.Grace = 20 * time.Second
	c.OnLine = func(line string) {
		if pid, err := strconv.Atoi(line); err == nil {
			await(t, "a stopped process", func() bool {
				stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
				return err == nil && strings.Contains(string(stat), ") T ")
			})
			cancel()
		}
	}
	result, err := exec.Run(ctx, c)
	g.Expect(failure(t, err).Cancelled).To(BeTrue())
	g.Expect(result.Tail).To(ContainElement("cleaned"))
	g.Expect(result.Duration).To(BeNumerically("<", 15*time.Second))
}

func TestCancelTellsItsCause(t *testing.T) {
	g := NewWithT(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the user pressed Ctrl-C")
	c := bash(`echo ready; sleep 1000`)
	c.OnLine = func(string) { cancel(cause) }
	result, err := exec.Run(ctx, c)
	failed := failure(t, err)
	g.Expect(failed.Cancelled).To(BeTrue())
	g.Expect(failed.TimedOut).To(BeFalse())
	g.Expect(errors.Is(err, cause)).To(BeTrue())
	g.Expect(err.Error()).To(ContainSubstring("stopped: the user pressed Ctrl-C"))
	g.Expect(result.ExitCode).To(Equal(143))

	marker := filepath.Join(t.TempDir(), "marker")
	_, err = exec.Run(ctx, bash(`touch "$1"`, marker))
	g.Expect(failure(t, err).Cancelled).To(BeTrue())
	g.Expect(errors.Is(err, cause)).To(BeTrue())
	g.Expect(marker).NotTo(BeAnExistingFile(), "a context that is over starts nothing")
}

func TestSignalSparesAStranger(t *testing.T) {
	g := NewWithT(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	_, err := exec.Run(t.Context(), bash(`sleep 1000 & echo $! >"$1"`, pidFile))
	g.Expect(err).NotTo(HaveOccurred())
	present := pidFrom(t, pidFile)
	earlier := exec.Process{PID: present.PID, StartTime: present.StartTime - 1}
	g.Expect(earlier.Alive()).To(BeFalse())
	g.Expect(earlier.Signal(9)).To(Succeed())
	g.Expect(earlier.Wait(t.Context())).To(Succeed(), "it has ended: its number is another's")
	g.Expect(present.Alive()).To(BeTrue())

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	g.Expect(present.Wait(ctx)).To(MatchError(context.DeadlineExceeded))
	g.Expect(present.Signal(9)).To(Succeed())
	g.Expect(present.Wait(t.Context())).To(Succeed())
	g.Expect(present.Alive()).To(BeFalse())
}

func TestLogOwnerMayReopenTheLog(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to become another user")
	}
	g := NewWithT(t)
	log := filepath.Join(t.TempDir(), "log")
	c := exec.Command{
		Args:     []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash", "-c", "echo one; echo two >>/dev/stderr"},
		Log:      log,
		LogOwner: &exec.Owner{UID: 65534, GID: 65534},
	}
	result, err := exec.Run(t.Context(), c)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(result.Tail).To(Equal([]string{"one", "two"}))
}
