// Package fakerun lays out a checkout whose hack/upgrade behaves like a run without
// being one: the same processes by name, a journal, a node directory, results; each
// phase lasts a moment. Tests of the attacking tools attack it.
package fakerun

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/hack/internal/harness"
)

//go:embed scripts
var scripts embed.FS

// Phases are those of the fake run, in order.
func Phases() []string {
	return []string{"create", "shutdown", "verify_noapi-pre-upgrade", "upgrade", "verify-post-upgrade", "verify_target", "destroy"}
}

// New lays out the checkout and returns its site. The environment of the test is set
// so that the fake run finds its places; further variables steer it:
//
//	FAKE_LEAVES=1     a killed run's container is not removed by anybody
//	FAKE_BLIND=1      the fake suite does not notice that a script was replaced
func New(t *testing.T) harness.Site {
	t.Helper()
	g := NewWithT(t)
	dir := t.TempDir()
	for name, place := range map[string]string{
		"upgrade.sh": "hack/upgrade",
		"ginkgo.sh":  "bin/ginkgo",
		// The kernel takes a script's process name from its file name.
		"suite.sh":   "bin/suite.test",
		"dispose.sh": "bin/dispose",
		"nspawn.sh":  "bin/systemd-nspawn",
		"systemd.sh": "bin/systemd",
		"Makefile":   "Makefile",
	} {
		content, err := scripts.ReadFile("scripts/" + name)
		g.Expect(err).NotTo(HaveOccurred())
		to := filepath.Join(dir, place)
		g.Expect(os.MkdirAll(filepath.Dir(to), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(to, content, 0o755)).To(Succeed())
	}
	t.Setenv("STACK_ROOT", filepath.Join(dir, "stack"))
	t.Setenv("SAVE_DIR", filepath.Join(dir, "stack", "save"))
	site, err := harness.NewSite(dir, filepath.Join(dir, "logs"), os.Getenv)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() {
		// What a test of a failing clean-up has left is removed by force.
		carriers, err := processes(site)
		g.Expect(err).NotTo(HaveOccurred())
		for _, carrier := range carriers {
			// It may have ended by itself.
			_ = carrier.Signal(syscall.SIGKILL)
		}
	})
	return site
}

// Look returns a function that takes a snapshot of the site's processes only: tests
// run side by side, and on machines where real runs are going on.
func Look(site harness.Site) func() (harness.Snapshot, error) {
	return func() (harness.Snapshot, error) {
		found, err := processes(site)
		if err != nil {
			return harness.Snapshot{}, err
		}
		var snapshot harness.Snapshot
		for _, process := range found {
			snapshot.Processes = append(snapshot.Processes, fmt.Sprintf("%s from tick %d", process, process.Start))
		}
		return snapshot, nil
	}
}

// processes are those that carry a cookie and belong to the site.
func processes(site harness.Site) ([]harness.Process, error) {
	return harness.Processes(func(p harness.Process) bool {
		root, _ := p.Getenv("STACK_ROOT")
		_, run := p.Getenv(harness.RunCookie)
		return run && root == site.StackRoot
	})
}
