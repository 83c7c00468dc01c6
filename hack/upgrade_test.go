// Package hack_test tests the scripts of hack/ as their users call them: hack/upgrade
// on a small module whose suite does what a test asks for.
package hack_test

import (
	"context"
	"os"
	"os/exec"
	ossignal "os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
)

// module is a copy of this one with a suite of its own.
type module struct {
	dir, tmp string
}

// newModule lays out a module with the scripts under test and testdata's suite; what
// would install packages on the machine is replaced.
func newModule(t *testing.T) module {
	t.Helper()
	g := NewWithT(t)
	m := module{dir: t.TempDir(), tmp: t.TempDir()}
	for from, to := range map[string]string{
		"../go.mod": "go.mod", "../go.sum": "go.sum",
		"upgrade": "hack/upgrade", "as-root": "hack/as-root", "lib/group.sh": "hack/lib/group.sh",
		"testdata/suite.go.txt": "suite/suite_test.go",
	} {
		content, err := os.ReadFile(from)
		g.Expect(err).NotTo(HaveOccurred())
		to = filepath.Join(m.dir, to)
		g.Expect(os.MkdirAll(filepath.Dir(to), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(to, content, 0o755)).To(Succeed())
	}
	g.Expect(os.WriteFile(filepath.Join(m.dir, "hack", "host-packages"), []byte("#!/bin/sh\n"), 0o755)).To(Succeed())
	return m
}

// command is hack/upgrade, called from another directory, with the variables on top of
// the environment.
func (m module) command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("hack/upgrade runs as root, or asks sudo to")
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(m.dir, "hack", "upgrade"), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), append(env, "TMPDIR="+m.tmp)...)
	return cmd
}

// run runs hack/upgrade to its end.
func (m module) run(t *testing.T, env []string, args ...string) (code int, output string) {
	t.Helper()
	cmd := m.command(t, env, args...)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	m.expectNothingLeft(t)
	return cmd.ProcessState.ExitCode(), string(text)
}

func (m module) expectNothingLeft(t *testing.T) {
	t.Helper()
	g := NewWithT(t)
	for _, pattern := range []string{m.tmp + "/tmp.*", m.dir + "/suite/*.test"} {
		left, err := filepath.Glob(pattern)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(left).To(BeEmpty())
	}
}

func lastLine(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return lines[len(lines)-1]
}

func TestTheExitCodeIsTheSuites(t *testing.T) {
	m := newModule(t)
	for name, test := range map[string]struct {
		env  []string
		code int
		last string
	}{
		"green":                    {[]string{"FAKE_WRITES=0"}, 0, "grenade: green (exit 0)"},
		"red":                      {[]string{"FAKE_WRITES=1", "FAKE_FAILS=1"}, 1, "grenade: red: the summary above says where (exit 1)"},
		"with a sentence":          {[]string{"FAKE_WRITES=2\nno such release", "FAKE_FAILS=1"}, 2, "grenade: no such release (exit 2)"},
		"environment":              {[]string{"FAKE_WRITES=3", "FAKE_FAILS=1"}, 3, "(exit 3)"},
		"interrupted":              {[]string{"FAKE_WRITES=130", "FAKE_FAILS=1"}, 130, "(exit 130)"},
		"no code":                  {[]string{"FAKE_FAILS=1"}, 3, "grenade: the suite ended without a verdict (ginkgo: exit 1)"},
		"no code, but ginkgo is 0": {nil, 3, "grenade: the suite ended without a verdict (ginkgo: exit 0)"},
		"a strange code":           {[]string{"FAKE_WRITES=77"}, 3, "grenade: the suite ended without a verdict"},
		"green, but ginkgo is not": {[]string{"FAKE_WRITES=0", "FAKE_FAILS=1"}, 3, "the suite says green, but ginkgo ended with exit 1"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			code, output := m.run(t, test.env)
			g.Expect(code).To(Equal(test.code), output)
			g.Expect(lastLine(output)).To(ContainSubstring(test.last))
		})
	}
}

func TestArgumentsReachGinkgo(t *testing.T) {
	g := NewWithT(t)
	m := newModule(t)
	code, output := m.run(t, []string{"FAKE_WRITES=0"}, "--label-filter=glance && !nova", "--", "passed-through")
	g.Expect(code).To(Equal(0), output)
	g.Expect(output).To(ContainSubstring("filter: glance && !nova\n"))
	g.Expect(output).To(ContainSubstring("arguments: passed-through\n"))

	code, output = m.run(t, nil, "--dry-run", "--label-filter", "nova")
	g.Expect(code).To(Equal(0), output)
	g.Expect(lastLine(output)).To(Equal("grenade: this is the plan; nothing was touched (exit 0)"))
}

func TestMistakesOnTheCommandLine(t *testing.T) {
	m := newModule(t)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"an unknown option": {[]string{"--labelfilter=glance"}, "'--labelfilter=glance' is not an option"},
		"a bare word":       {[]string{"glance"}, "say --label-filter='glance'"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			code, output := m.run(t, []string{"FAKE_WRITES=0"}, test.args...)
			g.Expect(code).To(Equal(2), output)
			g.Expect(lastLine(output)).To(ContainSubstring(test.want))
			g.Expect(output).NotTo(ContainSubstring("filter:"), "the suite was started")
		})
	}
}

func TestHelpNeedsNothing(t *testing.T) {
	g := NewWithT(t)
	m := newModule(t)
	code, output := m.run(t, []string{"PATH=/usr/bin:/bin"}, "--help")
	g.Expect(code).To(Equal(0), output)
	g.Expect(output).To(ContainSubstring("usage: hack/upgrade"))
}

func TestWithoutGoTheMessageSaysSo(t *testing.T) {
	g := NewWithT(t)
	m := newModule(t)
	code, output := m.run(t, []string{"PATH=/usr/bin:/bin"})
	g.Expect(code).To(Equal(3), output)
	g.Expect(lastLine(output)).To(Equal("grenade: Go 1.25 or newer is needed and there is no 'go' in PATH (exit 3)"))
}

func TestAnOldGoIsRefused(t *testing.T) {
	g := NewWithT(t)
	m := newModule(t)
	bin := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\necho go1.24.4\n"), 0o755)).To(Succeed())
	code, output := m.run(t, []string{"PATH=" + bin + ":/usr/bin:/bin"})
	g.Expect(code).To(Equal(3), output)
	g.Expect(lastLine(output)).To(Equal("grenade: Go 1.25 or newer is needed, this is go1.24.4 (exit 3)"))
}

// Each process must get a signal exactly once: a second one means "now".
func TestSignalsReachTheSuiteOnce(t *testing.T) {
	m := newModule(t)
	// A job in the background inherits an ignored SIGINT, and one of nohup an ignored
	// SIGHUP, which no child can trap; a handler here makes them the default again for
	// children.
	ossignal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGHUP)
	t.Cleanup(func() { ossignal.Reset(os.Interrupt, syscall.SIGHUP) })
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			g := NewWithT(t)
			said := filepath.Join(t.TempDir(), "said")
			cmd := m.command(t, []string{"FAKE_WAITS=1", "FAKE_WRITES=130", "FAKE_FAILS=1", "FAKE_SAYS=" + said})
			output := start(t, cmd)
			g.Eventually(lines(said), "60s").Should(ContainElement("waiting"))
			g.Expect(cmd.Process.Signal(signal)).To(Succeed())
			g.Expect(cmd.Wait()).NotTo(Succeed())
			g.Expect(cmd.ProcessState.ExitCode()).To(Equal(130))
			want := signal
			if signal == syscall.SIGHUP {
				want = syscall.SIGTERM
			}
			g.Expect(lines(said)()).To(HaveExactElements("waiting", "got "+want.String()))
			text, err := os.ReadFile(output)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(lastLine(string(text))).To(ContainSubstring("(exit 130)"))
			m.expectNothingLeft(t)
		})
	}
}

func TestAKilledCLIsSuiteIsWaitedFor(t *testing.T) {
	g := NewWithT(t)
	m := newModule(t)
	said := filepath.Join(t.TempDir(), "said")
	cmd := m.command(t, []string{"FAKE_WAITS=1", "FAKE_KILLS_STARTER=1", "FAKE_WRITES=130", "FAKE_SAYS=" + said})
	output := start(t, cmd)
	g.Expect(cmd.Wait()).NotTo(Succeed())
	g.Expect(cmd.ProcessState.ExitCode()).To(Equal(130))
	g.Expect(lines(said)()).To(HaveExactElements("waiting", "my starter is gone"))
	text, err := os.ReadFile(output)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(text)).To(ContainSubstring("the Ginkgo CLI is gone (exit 137); the suite is cleaning up"))
	m.expectNothingLeft(t)
}

// start starts the command in a session of its own, as a terminal's absence would, and
// returns the file of its output.
func start(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	g := NewWithT(t)
	output, err := os.Create(filepath.Join(t.TempDir(), "output"))
	g.Expect(err).NotTo(HaveOccurred())
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	g.Expect(cmd.Start()).To(Succeed())
	return output.Name()
}

func lines(path string) func() []string {
	return func() []string {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		return strings.Split(strings.TrimSpace(string(content)), "\n")
	}
}

func TestTheReadmeHoldsTheTablesOfSettingsAndReleases(t *testing.T) {
	g := NewWithT(t)
	readme, err := os.ReadFile("../README.md")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(readme)).To(ContainSubstring(strings.TrimSpace(config.Markdown())))
	g.Expect(string(readme)).To(ContainSubstring(strings.TrimSpace(config.ReleasesMarkdown())))
}

func TestVerifyShellFindsShellWithoutSuffix(t *testing.T) {
	g := NewWithT(t)
	output, err := exec.CommandContext(context.WithoutCancel(t.Context()), "./verify-shell", "--list").CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(output))
	g.Expect(strings.Fields(string(output))).To(ContainElements(
		".ci/run", "hack/upgrade", "hack/lib/group.sh", "plugins/40_glance/settings", "plugins/40_glance/upgrade.sh", "plugins/shell/grenaderc"))
	g.Expect(strings.Fields(string(output))).NotTo(ContainElement(HaveSuffix(".go")))
}
