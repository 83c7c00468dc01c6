package plugins

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"
)

func TestMaterialiseWritesProgramsThatRunAndFilesThatDoNot(t *testing.T) {
	g := NewWithT(t)
	old := syscall.Umask(0o077) // modes are set, not left to the umask
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "grenade")

	g.Expect(Materialise(dir)).To(Succeed())

	modes := map[string]fs.FileMode{}
	g.Expect(filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		g.Expect(err).NotTo(HaveOccurred())
		info, err := entry.Info()
		g.Expect(err).NotTo(HaveOccurred())
		relative, err := filepath.Rel(dir, path)
		g.Expect(err).NotTo(HaveOccurred())
		modes[relative] = info.Mode()
		return nil
	})).To(Succeed())
	g.Expect(modes).To(HaveKey("inc/store"))
	for name, want := range map[string]fs.FileMode{
		".":                                 fs.ModeDir | 0o755,
		"projects/10_keystone":              fs.ModeDir | 0o755,
		"grenaderc":                         0o644,
		"functions":                         0o644,
		"load-settings":                     0o755,
		"projects/10_keystone/settings":     0o644,
		"projects/10_keystone/upgrade.sh":   0o755,
		"projects/15_placement/shutdown.sh": 0o755,
		"projects/40_glance/resources.sh":   0o755,
	} {
		g.Expect(modes).To(HaveKeyWithValue(name, want), name)
	}
	for name := range modes {
		g.Expect(strings.HasSuffix(name, ".new")).To(BeFalse(), name)
	}
}

func TestMaterialiseReplacesItsFilesAndLeavesOthers(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(dir, "localrc"), []byte("A=1\n"), 0o600)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(dir, "functions"), []byte("tampered"), 0o600)).To(Succeed())

	g.Expect(Materialise(dir)).To(Succeed())
	g.Expect(Materialise(dir)).To(Succeed())

	g.Expect(os.ReadFile(filepath.Join(dir, "localrc"))).To(BeEquivalentTo("A=1\n"))
	g.Expect(os.ReadFile(filepath.Join(dir, "functions"))).NotTo(ContainSubstring("tampered"))
}
