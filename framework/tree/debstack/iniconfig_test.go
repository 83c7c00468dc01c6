package debstack

import (
	"os"
	osexec "os/exec"
	"path/filepath"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"
)

// DevStack's iniset is sed -i, which replaces a file of root's in a directory of the caller's. designate's plugin
// relies on it: it copies rootwrap.conf as root and sets an option as stack.
func TestAnOptionIsSetInAFileOfRootsInADirectoryOfOurs(t *testing.T) {
	g := NewWithT(t)
	if os.Getuid() != 0 {
		t.Skip("needs root, to make a file that somebody else may not write to")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("", "iniset-") //nolint:usetesting // the user nobody cannot get into t.TempDir
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(os.RemoveAll(dir)).To(Succeed()) })
	g.Expect(os.Chown(dir, nobody, nobody)).To(Succeed())
	file := filepath.Join(dir, "rootwrap.conf")
	g.Expect(os.WriteFile(file, []byte("[DEFAULT]\nfilters_path = /old\n"), 0o640)).To(Succeed())
	g.Expect(os.Chmod(file, 0o644)).To(Succeed())

	text, err := os.Open("tree/inc/ini-config")
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { g.Expect(text.Close()).To(Succeed()) }()
	set := osexec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c",
		`source /dev/stdin; iniset "$1" DEFAULT filters_path /new; iniget "$1" DEFAULT filters_path`, "-", file)
	set.Stdin, set.Dir = text, "/"
	set.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	said, err := set.CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(said))
	g.Expect(string(said)).To(Equal("/new\n"))
	info, err := os.Stat(file)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o644)))
}
