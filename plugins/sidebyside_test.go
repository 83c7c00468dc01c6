package plugins

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"
)

// Rows of a read-only phase start their scripts at the same time, and make the
// same trace directory. Each trace must belong to whom SAVE_DIR belongs to.
func TestTracesOfScriptsSideBySideBelongToTheScriptsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const user = 4711
	g := NewWithT(t)
	for round := range 50 {
		saveDir := t.TempDir()
		g.Expect(os.Chown(saveDir, user, user)).To(Succeed())
		script := filepath.Join(saveDir, "resources.sh")
		g.Expect(os.WriteFile(script, []byte("#!/bin/bash\n"), 0o755)).To(Succeed())
		var together sync.WaitGroup
		for project := range 4 {
			together.Go(func() {
				trace := filepath.Join(saveDir, "traces", "verify", fmt.Sprint(project))
				_, err := ScriptCommand(ScriptInput{Path: script, Trace: trace, Environ: map[string]string{"SAVE_DIR": saveDir}})
				if err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		together.Wait()
		g.Expect(filepath.WalkDir(filepath.Join(saveDir, "traces"), func(path string, entry os.DirEntry, err error) error {
			g.Expect(err).NotTo(HaveOccurred())
			info, err := entry.Info()
			g.Expect(err).NotTo(HaveOccurred())
			stat, known := info.Sys().(*syscall.Stat_t)
			g.Expect(known).To(BeTrue())
			g.Expect(stat.Uid).To(BeEquivalentTo(user), path)
			return nil
		})).To(Succeed())
	}
}
