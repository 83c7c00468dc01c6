package devstack_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/log"
	"grenade/framework/node"
	"grenade/framework/tree"
	"grenade/framework/tree/devstack"
	"grenade/framework/tree/devstack/tinytree"
)

// stage is a cloud of small trees on this machine, below a directory of the test's.
type stage struct {
	*devstack.Cloud
	config *config.Config
	notes  *[]string
}

// onStage makes one. Root runs it as nobody, anybody else as himself.
func onStage(t *testing.T, gitBase, base, target string) stage {
	t.Helper()
	root := filepath.Join(t.TempDir(), "stack")
	for dir := filepath.Dir(root); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		_ = os.Chmod(dir, 0o755) // not ours, where it fails
	}
	who := "nobody"
	if os.Geteuid() != 0 {
		t.Skip("needs root, to run as another user")
	}
	settings, err := config.Load(t.Context(), config.Sources{ResultsDir: filepath.Join(t.TempDir(), "results"), Environ: []string{
		"HOME=" + root, "STACK_ROOT=" + root, "GIT_BASE=" + gitBase, "STACK_USER=" + who, "GRENADE_TREE=devstack", "GRENADE_NODE=local",
		"BASE_DEVSTACK_BRANCH=" + base, "TARGET_DEVSTACK_BRANCH=" + target,
	}})
	g := NewWithT(t)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.MkdirAll(settings.SaveDir, 0o700)).To(Succeed())
	notes := &[]string{}
	return stage{config: settings, notes: notes, Cloud: devstack.NewCloud(devstack.Options{
		RunID: "test", Config: settings, Progress: func(string) {}, Note: func(text string) { *notes = append(*notes, text) }, Secrets: log.NewRedactor(),
	})}
}

func tiny(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "git")
	NewWithT(t).Expect(tinytree.Repository(t.Context(), dir)).To(Succeed())
	return dir
}

// begin brings the cloud up, and has it removed when the test ends.
func (s stage) begin(t *testing.T, added ...string) {
	t.Helper()
	g := NewWithT(t)
	t.Cleanup(func() {
		_, err := devstack.DisposeLeftovers(context.WithoutCancel(t.Context()), s.config)
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
	})
	g.Expect(s.Start(t.Context(), nil)).To(Succeed())
	var lines []tree.LocalrcLine
	for _, text := range added {
		lines = append(lines, tree.LocalrcLine{SettingsFile: "settings", Line: 1, Text: text})
	}
	for _, side := range []config.Side{config.Base, config.Target} {
		g.Expect(s.Compose(t.Context(), side, lines)).To(Succeed())
	}
}

func TestImagesAndAccountsGoFromTreeToTree(t *testing.T) {
	g := NewWithT(t)
	s := onStage(t, tiny(t), "stable/2025.1", "stable/2025.2")
	g.Expect(os.MkdirAll(filepath.Join(s.config.StackRoot, "images"), 0o755)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(s.config.StackRoot, "images", "mine.img"), []byte("mine"), 0o644)).To(Succeed())
	s.begin(t)
	g.Expect(s.Enabled()).To(ContainElements("alpha", "s-proxy"))
	log := filepath.Join(t.TempDir(), "log")
	g.Expect(s.Stack(t.Context(), log, func(string) {})).To(Succeed())
	base, target := s.TreeDir(config.Base), s.TreeDir(config.Target)
	g.Expect(filepath.Join(base, "files", "mine.img")).To(BeARegularFile())
	g.Expect(os.MkdirAll(filepath.Join(base, "accrc", "demo"), 0o755)).To(Succeed())
	_, err := s.PrepareTarget(t.Context(), log, func(string) {})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(filepath.Join(target, "files", "tiny.img")).To(BeARegularFile(), "what stack.sh has fetched need not be fetched again")
	g.Expect(filepath.Join(target, "accrc", "demo")).To(BeADirectory())
	g.Expect(s.Access().Project).To(Equal("admin"))
	said, err := os.ReadFile(log)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(said)).To(MatchRegexp(`(?s)== tools/install_prereqs.sh\n.*== requirements at 2025.2\n.*\ninfra\n.*\ndriver of the database\n.*\nlibraries\n.*== lib/dstat: this tree has none\n== start_dstat: this tree has none\n== the target's tree is ready\n`),
		"in stack.sh's order: what installs comes before what is installed")
}

// Rows that only read run side by side, and each looks what runs.
func TestManyMayLookAtOnce(t *testing.T) {
	g := NewWithT(t)
	s := onStage(t, tiny(t), "stable/2025.1", "stable/2025.2")
	s.begin(t)
	g.Expect(s.Stack(t.Context(), "", func(string) {})).To(Succeed())
	_, err := s.PrepareTarget(t.Context(), "", func(string) {})
	g.Expect(err).NotTo(HaveOccurred())
	failures := make(chan error)
	for range 8 {
		go func() {
			_, known := s.Service("alpha", config.Target)
			_, err := s.Packages(t.Context(), config.Target)
			if !known {
				err = errors.New("alpha is not known")
			}
			failures <- errors.Join(err, s.Look(t.Context()))
		}()
	}
	for range 8 {
		g.Expect(<-failures).To(Succeed())
	}
}

func TestTheWayIntoTheDatabaseIsKeptPrivate(t *testing.T) {
	g := NewWithT(t)
	s := onStage(t, tiny(t), "stable/2025.1", "stable/2025.2")
	s.begin(t)
	g.Expect(s.Compose(t.Context(), config.Base, []tree.LocalrcLine{{Text: "DATABASE_TYPE=postgresql"}})).To(Succeed())
	g.Expect(s.Compose(t.Context(), config.Target, nil)).To(Succeed())
	g.Expect(s.Access().Unsaved).To(Equal(`databases of type "postgresql" cannot be saved`))
	g.Expect(s.Compose(t.Context(), config.Base, []tree.LocalrcLine{{Text: "DATABASE_TYPE=mysql DATABASE_USER=root\nDATABASE_PASSWORD='a \"b\\'"}})).To(Succeed())
	g.Expect(s.Compose(t.Context(), config.Target, nil)).To(Succeed())
	options := filepath.Join(s.config.SaveDir, "mysql.cnf")
	g.Expect(s.Access().Unsaved).To(BeEmpty())
	g.Expect(s.Access().SQL).To(Equal([]string{"--defaults-extra-file=" + options}))
	text, err := os.ReadFile(options)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(text)).To(Equal("[client]\nuser=\"root\"\npassword=\"a \\\"b\\\\\"\n"))
	info, err := os.Stat(options)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)))
}

func TestWhatPluginsAddIsReadBack(t *testing.T) {
	s := onStage(t, tiny(t), "stable/2025.1", "stable/2025.2")
	s.begin(t, "enable_service beta")
	NewWithT(t).Expect(s.Enabled()).To(ContainElement("beta"))
}

// A run that was killed in the middle of stack.sh is removed by another process, which knows nothing but SAVE_DIR.
func TestAKilledRunIsRemoved(t *testing.T) {
	g := NewWithT(t)
	s := onStage(t, tiny(t), "stable/2025.1", "stable/2025.2")
	s.begin(t)
	g.Expect(s.Stack(t.Context(), "", func(string) {})).To(Succeed())
	program := filepath.Join(s.config.StackRoot, "old", "bin", "alpha-api")
	g.Expect(running(t, program)).To(BeTrue())
	// unstack.sh knows nothing of it any more: the run's mark is what is left.
	g.Expect(os.Remove(filepath.Join(s.config.StackRoot, "data", "alpha.pid"))).To(Succeed())
	what, err := devstack.DisposeLeftovers(t.Context(), s.config)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(what).To(ContainSubstring("processes of run test@"))
	g.Expect(running(t, program)).To(BeFalse())
	for _, dir := range []string{"old", "new", "data", "logs"} {
		g.Expect(filepath.Join(s.config.StackRoot, dir)).NotTo(BeAnExistingFile())
	}
	left, err := devstack.Left(s.config)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left).To(BeFalse())
}

// What cannot be stopped is not removed either: the next attempt needs the tree.
func TestAnUnstackThatFailsLeavesTheTree(t *testing.T) {
	g := NewWithT(t)
	s := onStage(t, tiny(t), "stable/2025.1", "stable/2025.2")
	s.begin(t)
	g.Expect(s.Stack(t.Context(), "", func(string) {})).To(Succeed())
	unstack := filepath.Join(s.TreeDir(config.Base), "unstack.sh")
	text, err := os.ReadFile(unstack)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.WriteFile(unstack, []byte("#!/bin/bash\necho it sticks >&2\nexit 7\n"), 0o755)).To(Succeed())
	_, err = devstack.DisposeLeftovers(t.Context(), s.config)
	g.Expect(err).To(MatchError(And(ContainSubstring("unstack.sh"), ContainSubstring("exit code 7"))))
	g.Expect(unstack).To(BeARegularFile())
	g.Expect(os.WriteFile(unstack, text, 0o755)).To(Succeed())
}

// A tree that somebody has put there is used, and stays; what it was configured to be is kept.
func TestATreeOfTheUsersStays(t *testing.T) {
	g := NewWithT(t)
	s := onStage(t, tiny(t), "stable/2025.1", "stable/2025.2")
	own := s.TreeDir(config.Base)
	g.Expect(tinytree.Write(own)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(own, "localrc"), []byte("enable_service beta\n"), 0o644)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(own, "RELEASE"), []byte("mine\n"), 0o644)).To(Succeed())
	_, err := exec.Output(t.Context(), exec.Command{Args: []string{"chown", "-R", "nobody", filepath.Dir(own)}})
	g.Expect(err).NotTo(HaveOccurred())
	s.begin(t)
	g.Expect(*s.notes).To(ContainElement(ContainSubstring("it was there and is used as it is")))
	g.Expect(s.Enabled()).To(ContainElement("beta"))
	g.Expect(filepath.Join(own, "local.conf.orig")).To(BeARegularFile())
	g.Expect(filepath.Join(own, "localrc")).NotTo(BeAnExistingFile())
	g.Expect(s.Dispose(t.Context())).To(Succeed())
	g.Expect(filepath.Join(own, "stack.sh")).To(BeARegularFile())
	g.Expect(s.TreeDir(config.Target)).NotTo(BeADirectory())
}

// running tells whether a process has the word in its command line.
func running(t *testing.T, word string) bool {
	t.Helper()
	lists, err := filepath.Glob("/proc/[0-9]*/cmdline")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for _, list := range lists {
		if text, err := os.ReadFile(list); err == nil && strings.Contains(string(text), word) {
			return true
		}
	}
	return false
}

// inNode runs bash where the cloud is, as the stack user, and returns what it says.
func (s stage) inNode(t *testing.T, text string) string {
	t.Helper()
	out, err := s.Node().Output(t.Context(), node.Command{User: s.config.StackUser, Command: exec.Command{
		Args: []string{"bash", "-c", text}, Timeout: time.Minute,
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + s.config.StackRoot, "LANG=C.UTF-8"},
	}})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return strings.TrimSpace(string(out))
}
