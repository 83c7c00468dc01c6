package debstack

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

func TestTreeIsWrittenWithModesAndOwner(t *testing.T) {
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = StackUID, StackGID
	}
	g := NewWithT(t)
	tree := Tree{files: fstest.MapFS{
		"stack.sh":       {Data: []byte("#!/bin/bash\n"), Mode: 0o444},
		"functions":      {Data: []byte("f() { :; }\n"), Mode: 0o444},
		"lib/keystone":   {Data: []byte("# requires:\n"), Mode: 0o444},
		"lib/.hidden":    {Data: []byte{}},
		"tools/empty.sh": {Data: []byte{}},
	}}
	dir := filepath.Join(t.TempDir(), "old/devstack")
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	g.Expect(tree.Write(dir, uid, gid)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(dir, "local.conf"), []byte("x"), 0o600)).To(Succeed())
	g.Expect(tree.Write(dir, uid, gid)).To(Succeed(), "a second time")
	g.Expect(filepath.Join(dir, "local.conf")).To(BeARegularFile())

	for path, mode := range map[string]fs.FileMode{
		".": 0o755, "lib": 0o755, "stack.sh": 0o755, "functions": 0o644, "lib/keystone": 0o644, "lib/.hidden": 0o644, "tools/empty.sh": 0o644,
	} {
		var st unix.Stat_t
		g.Expect(unix.Lstat(filepath.Join(dir, path), &st)).To(Succeed())
		g.Expect(fs.FileMode(st.Mode&0o7777)).To(Equal(mode), path)
		g.Expect([]int{int(st.Uid), int(st.Gid)}).To(Equal([]int{uid, gid}), path)
	}
}

func TestEmbeddedTree(t *testing.T) {
	g := NewWithT(t)
	tree, err := NewTree()
	g.Expect(err).NotTo(HaveOccurred())
	services, err := tree.Services()
	g.Expect(err).NotTo(HaveOccurred())
	closure, err := services.Closure("glance", "placement")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(closure[0].Name).To(Equal("keystone"))
	g.Expect(services.Packages("2025.1")).To(ContainElements("keystone", "glance-api", "placement-api", "mariadb-server", "rabbitmq-server"))
	for _, name := range []string{"keystone", "glance", "placement"} {
		one, _ := services.Find(name)
		g.Expect(one.Port).NotTo(BeZero(), name)
		g.Expect(one.Units).NotTo(BeEmpty(), name)
	}
	dir := t.TempDir()
	g.Expect(tree.Write(dir, os.Getuid(), os.Getgid())).To(Succeed())
	for _, name := range []string{"stack.sh", "unstack.sh"} {
		info, err := os.Stat(filepath.Join(dir, name))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(info.Mode().Perm()).To(Equal(fs.FileMode(0o755)), name)
	}
}

func TestPasswords(t *testing.T) {
	g := NewWithT(t)
	one, other := NewPasswords(), NewPasswords()
	seen := map[string]bool{}
	for _, name := range PasswordNames() {
		for _, p := range []Passwords{one, other} {
			g.Expect(p[name]).To(MatchRegexp("^[A-Z0-9]{26,}$"))
			seen[p[name]] = true
		}
	}
	g.Expect(seen).To(HaveLen(2 * len(PasswordNames())))

	dir := filepath.Join(t.TempDir(), "save")
	g.Expect(os.Mkdir(dir, 0o755)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(dir, passwordFile), []byte("old"), 0o644)).To(Succeed())
	g.Expect(one.Save(dir)).To(Succeed())
	for path, mode := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, passwordFile): 0o600} {
		info, err := os.Stat(path)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(info.Mode().Perm()).To(Equal(mode))
	}
	loaded, err := LoadPasswords(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(loaded).To(Equal(one))

	g.Expect(os.WriteFile(filepath.Join(dir, passwordFile), []byte("ADMIN_PASSWORD=x\n"), 0o600)).To(Succeed())
	_, err = LoadPasswords(dir)
	g.Expect(err).To(MatchError(ContainSubstring("DATABASE_PASSWORD, RABBIT_PASSWORD, SERVICE_PASSWORD")))
}

func TestPrepareUpper(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("giving files to another user needs root")
	}
	g := NewWithT(t)
	b := newBench(t)
	root := b.ensure(t)
	g.Expect(os.MkdirAll(filepath.Join(root.Path, "srv"), 0o755)).To(Succeed())
	g.Expect(os.Chmod(filepath.Join(root.Path, "srv"), 0o2750|os.ModeSticky)).To(Succeed())

	upper := t.TempDir()
	g.Expect(root.PrepareUpper(upper, "")).To(Succeed())
	g.Expect(filepath.Join(upper, "etc/passwd")).NotTo(BeAnExistingFile(), "the root's own is right")
	owner := func(path string) []uint32 {
		var st unix.Stat_t
		g.Expect(unix.Lstat(path, &st)).To(Succeed())
		return []uint32{st.Uid, st.Gid, st.Mode & 0o7777}
	}
	g.Expect(owner(filepath.Join(upper, "opt/stack"))).To(Equal([]uint32{StackUID, StackGID, 0o755}))
	g.Expect(owner(filepath.Join(upper, "opt"))).To(Equal([]uint32{0, 0, 0o755}))

	upper = t.TempDir()
	g.Expect(root.PrepareUpper(upper, "/srv/deep/stack")).To(Succeed())
	passwd, err := os.ReadFile(filepath.Join(upper, "etc/passwd"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(passwd)).To(Equal("root:x:0:0:root:/root:/bin/bash\nstack:x:1000:1000::/srv/deep/stack:/bin/bash\n"))
	g.Expect(owner(filepath.Join(upper, "srv/deep/stack"))).To(Equal([]uint32{StackUID, StackGID, 0o755}))
	g.Expect(owner(filepath.Join(upper, "srv"))[2]).To(Equal(uint32(0o1750)), "as the root has it")

	for _, bad := range []string{"opt/stack", "/opt/../stack", "/a:b"} {
		g.Expect(root.PrepareUpper(t.TempDir(), bad)).To(MatchError(ErrSetting), bad)
	}
}
