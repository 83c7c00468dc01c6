package devstack_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/log"
	"grenade/framework/node"
	"grenade/framework/node/nodetest"
	"grenade/framework/probe"
	"grenade/framework/tree"
	"grenade/framework/tree/debstack"
	"grenade/framework/tree/devstack"
)

// gitOfTheNode stands for git in a root that has none: a small tree's checkouts hold their commit in .git/HEAD.
const gitOfTheNode = `#!/bin/bash
[[ $* == *rev-parse* ]] || exit 1
while (($# > 1)) && [[ $1 != -C ]]; do shift; done
cat "$2/.git/HEAD"
`

// inContainer boots a container with small trees in it, under a real systemd.
func inContainer(t *testing.T) stage {
	t.Helper()
	g := NewWithT(t)
	site := nodetest.Config(t)
	dir, err := os.MkdirTemp("/var/tmp", "grenade-test-") //nolint:usetesting // not below /tmp: the node has one of its own
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { NewWithT(t).Expect(os.RemoveAll(dir)).To(Succeed()) })
	root := filepath.Join(dir, "stack")
	settings, err := config.Load(t.Context(), config.Sources{ResultsDir: filepath.Join(t.TempDir(), "results"), Environ: []string{
		"HOME=" + root, "STACK_ROOT=" + root, "GIT_BASE=" + tiny(t), "GRENADE_TREE=devstack",
		"BASE_DEVSTACK_BRANCH=stable/2025.1", "TARGET_DEVSTACK_BRANCH=stable/2025.2", "NODE_ADDRESS=" + site.Address.String(),
		"FLOATING_RANGE=10.96.0.0/24",
	}})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.MkdirAll(settings.SaveDir, 0o700)).To(Succeed())
	upper := filepath.Join(debstack.NodeDir(settings), "upper")
	g.Expect(os.MkdirAll(filepath.Join(upper, "usr/local/bin"), 0o755)).To(Succeed())
	g.Expect(nodetest.Prepare(site.Root, upper)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(upper, "usr/local/bin/git"), []byte(gitOfTheNode), 0o755)).To(Succeed())
	notes := &[]string{}
	return stage{config: settings, notes: notes, Cloud: devstack.NewCloud(devstack.Options{
		RunID: site.RunID, Config: settings, Root: site.Root, Progress: func(string) {}, Secrets: log.NewRedactor(),
		Note: func(text string) { *notes = append(*notes, text) },
	})}
}

// runs returns the processes of the service's units, with the code of each.
func (s stage) runs(t *testing.T, side config.Side) (service tree.Service, code []tree.Code) {
	t.Helper()
	g := NewWithT(t)
	service, known := s.Service("alpha", side)
	g.Expect(known).To(BeTrue())
	found, err := probe.Units(t.Context(), s.Node(), service.Units)
	g.Expect(err).NotTo(HaveOccurred())
	var processes []probe.Process
	for _, unit := range service.Units {
		processes = append(processes, found[unit]...)
	}
	code, err = s.Code(t.Context(), service, processes)
	g.Expect(err).NotTo(HaveOccurred())
	return service, code
}

func TestWhatCodeRunsUnderSystemd(t *testing.T) {
	g := NewWithT(t)
	s := inContainer(t)
	t.Cleanup(func() { // before the directory goes
		_, err := node.DisposeLeftovers(context.WithoutCancel(t.Context()), debstack.NodeDir(s.config))
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
	})
	s.begin(t)
	logFile := filepath.Join(t.TempDir(), "log")
	g.Expect(s.Stack(t.Context(), logFile, func(string) {})).To(Succeed())

	service, code := s.runs(t, config.Base)
	g.Expect(service.Unproved).To(BeEmpty())
	g.Expect(service.Units).To(Equal([]string{"devstack@alpha"}))
	base, err := s.Packages(t.Context(), config.Base)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(base["alpha"]).To(MatchRegexp(`^git [0-9a-f]{12} in .*/old/alpha$`))
	g.Expect(code).To(Equal([]tree.Code{{Package: "alpha", Version: base["alpha"]}}))

	_, err = s.PrepareTarget(t.Context(), logFile, func(string) {})
	g.Expect(err).NotTo(HaveOccurred())
	target := func(text string) {
		s.inNode(t, "cd "+s.TreeDir(config.Target)+" && export TOP_DIR=$PWD && set -e && source ./stackrc && source lib/alpha && "+text)
		g.Expect(s.Look(t.Context())).To(Succeed())
	}

	// Installed and not started again: the process that runs is older than what is there.
	target("sleep 3; install_alpha")
	_, code = s.runs(t, config.Target)
	g.Expect(code).To(HaveLen(1))
	g.Expect(code[0].Version).To(HavePrefix("older than git "))

	// Stopped and not started: its unit is expected all the same, because the target's ENABLED_SERVICES name it.
	target("stop_alpha")
	service, code = s.runs(t, config.Target)
	g.Expect(service.Units).To(Equal([]string{"devstack@alpha"}))
	g.Expect(code).To(BeEmpty())

	target("start_alpha")
	_, code = s.runs(t, config.Target)
	upgraded, err := s.Packages(t.Context(), config.Target)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(upgraded["alpha"]).To(MatchRegexp(`^git [0-9a-f]{12} in .*/new/alpha$`))
	g.Expect(code).To(Equal([]tree.Code{{Package: "alpha", Version: upgraded["alpha"]}}))

	// A distribution that is not there: that is said, not guessed.
	s.inNode(t, "rm -r "+s.config.StackRoot+"/data/venv/lib/python3.*/site-packages/alpha-*")
	_, code = s.runs(t, config.Target)
	g.Expect(code).To(HaveLen(1))
	g.Expect(code[0].Unknown).To(HaveSuffix("has no distribution alpha"))

	logs := filepath.Join(t.TempDir(), "logs")
	g.Expect(s.CollectLogs(t.Context(), logs)).To(Succeed())
	g.Expect(filepath.Join(logs, "journal.log")).To(BeARegularFile())
	g.Expect(filepath.Join(logs, "base", "logs", "stack.sh.log")).To(BeARegularFile())
	g.Expect(s.Dispose(t.Context())).To(Succeed())
	g.Expect(debstack.NodeDir(s.config)).NotTo(BeADirectory())
	g.Eventually(func() bool { return running(t, s.config.StackRoot) }, 5*time.Second).Should(BeFalse())
}
