package plugins

import (
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestBashFindsItsTraceWhateverTheDirectoryIsCalled(t *testing.T) {
	for _, name := range []string{"plain", "with blanks", `$HOME`, "$(touch run)", "`touch run`", `a"b`, `a\b`, "ä\xff"} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			root := t.TempDir()
			dir := filepath.Join(root, name)
			g.Expect(os.Mkdir(dir, 0o755)).To(Succeed())
			path := filepath.Join(dir, "trace")
			g.Expect(os.WriteFile(path, []byte("echo read\n"), 0o644)).To(Succeed())
			bash := osexec.CommandContext(t.Context(), "bash", "-c", ":")
			bash.Dir, bash.Env = root, append(os.Environ(), "BASH_ENV="+inDoubleQuotes(path))
			said, err := bash.CombinedOutput()
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(said)).To(Equal("read\n"))
			g.Expect(filepath.Join(root, "run")).NotTo(BeAnExistingFile(), "a command in the name was run")
		})
	}
}
