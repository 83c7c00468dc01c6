package swift

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"

	"grenade/framework/node"
	"grenade/resources"
)

// The hashes are those that swift's own documentation and tests give for these
// names with the suffix "endcap" and no prefix.
const (
	hashOfObject    = "06fbf0b514e5199dfc4e00f42eb5ea83" // a/c/o
	hashOfContainer = "33379ecb053aa5c9e356c68997cbb59e" // a/c
	hashOfAccount   = "1c84525acb02107ea475dcd3d09c2c58" // a
)

// makeDisk writes, in Python as swift does, a device with one object, one
// container and one account.
const makeDisk = `
import hashlib, os, pickle, sqlite3, sys
root, account, container, obj = sys.argv[1:]
os.makedirs(root + "/etc")
open(root + "/etc/swift.conf", "w").write("[swift-hash]\nswift_hash_path_suffix = endcap\n")
for kind in "account", "container", "object":
    open(f"{root}/etc/{kind}-server.conf", "w").write(f"[DEFAULT]\ndevices = {root}/disks\n")

def place(kind, name):
    path = f"{root}/disks/sdb1/{kind}s/7/{name[-3:]}/{name}"
    os.makedirs(path)
    return path

path = place("object", obj) + "/1700000000.00000.data"
open(path, "wb").write(b"content")
raw = pickle.dumps({b"name": b"/a/c/o", b"ETag": b"x", "X-Object-Meta-Note".encode(): "\u5347\u7ea7".encode(), b"Big": b"y" * 300}, 2)
for n in range(0, len(raw), 256):
    os.setxattr(path, "user.swift.metadata" + str(n // 256 or ""), raw[n:n + 256])
os.setxattr(path, "user.swift.metadata_checksum", hashlib.md5(raw).hexdigest().encode())

db = sqlite3.connect(place("container", container) + "/" + container + ".db")
db.executescript("""
CREATE TABLE container_info (account, container, created_at, put_timestamp, delete_timestamp, metadata);
CREATE TABLE policy_stat (storage_policy_index, object_count, bytes_used);
CREATE TABLE object (name, created_at, size, content_type, etag, deleted, storage_policy_index);
INSERT INTO container_info VALUES ('a', 'c', '1', '1', '0', '{"X-Container-Read": ["p:u", "1"], "X-Gone": ["", "2"]}');
INSERT INTO policy_stat VALUES (0, 1, 7);
INSERT INTO object VALUES ('o', '2', 7, 'text/plain', 'x', 0, 0), ('deleted', '2', 7, 'text/plain', 'x', 1, 0);
""")
db.commit()
db = sqlite3.connect(place("account", account) + "/" + account + ".db")
db.executescript("""
CREATE TABLE account_stat (account, created_at, put_timestamp, delete_timestamp, status, container_count, object_count, bytes_used, metadata);
CREATE TABLE container (name, put_timestamp, delete_timestamp, object_count, bytes_used, deleted, storage_policy_index);
INSERT INTO account_stat VALUES ('a', '1', '1', '0', '', 1, 1, 7, '');
INSERT INTO container VALUES ('c', '1', '0', 1, 7, 0, 0);
""")
db.commit()
`

// fakeDisk is a swift of one object on this machine's disk; the "node" is this
// machine, with /etc/swift elsewhere.
type fakeDisk struct{ root string }

func newFakeDisk(t *testing.T) fakeDisk {
	t.Helper()
	if _, err := osexec.LookPath("python3"); err != nil {
		t.Skip("no python3 here: every node of swift's has one")
	}
	disk := fakeDisk{root: t.TempDir()}
	if err := unix.Setxattr(disk.root, "user.test", []byte("x"), 0); err != nil {
		t.Skipf("%s cannot keep extended attributes: %v", disk.root, err)
	}
	out, err := osexec.CommandContext(t.Context(), "python3", "-c", makeDisk, disk.root, hashOfAccount, hashOfContainer, hashOfObject).CombinedOutput()
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), string(out))
	return disk
}

// Output implements resources.Node.
func (d fakeDisk) Output(ctx context.Context, command node.Command) ([]byte, error) {
	script := strings.ReplaceAll(string(command.Stdin), `request["config"]`, `"`+d.root+`/etc"`)
	cmd := osexec.CommandContext(ctx, command.Args[0], command.Args[1:]...)
	cmd.Stdin = strings.NewReader(script)
	cmd.Stderr = os.Stderr
	return cmd.Output()
}

func (d fakeDisk) file(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(d.root + "/disks/sdb1/" + pattern)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	NewWithT(t).Expect(found).To(HaveLen(1))
	return found[0]
}

// recorded is a check that has seen the disk as it was.
func recorded(t *testing.T) (*check, fakeDisk) {
	t.Helper()
	disk := newFakeDisk(t)
	cloud := resources.Cloud{Tag: "t", Store: &resources.Store{Dir: t.TempDir()}, Node: disk}
	c := &check{cloud: cloud, memory: cloud.Memory(Project)}
	NewWithT(t).Expect(c.memory.Save(t.Context(), map[string]string{keyAccount: "a", keySettled: yes})).To(Succeed())
	NewWithT(t).Expect(c.recordInside(t.Context(), &asked{})).To(Succeed())
	return c, disk
}

func TestTheDisksAreReadWithoutSwift(t *testing.T) {
	g := NewWithT(t)
	c, _ := recorded(t)
	g.Expect(c.VerifyNoAPI(t.Context(), resources.PreUpgrade)).To(Succeed())
	inside, err := c.inside()
	g.Expect(err).NotTo(HaveOccurred())
	seen, err := inside.read(t.Context(), map[string]any{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(seen.here()).To(Equal(stored{Account: true, Containers: []string{"c"}, Objects: [][2]string{{"c", "o"}}}))
	g.Expect(seen.Objects[0]).To(HaveKeyWithValue("metadata", HaveKeyWithValue("X-Object-Meta-Note", "升级")))
	g.Expect(seen.Objects[0]).To(HaveKeyWithValue("size", json.Number("7")))
	g.Expect(seen.Containers[0]).To(HaveKeyWithValue("metadata", map[string]any{"X-Container-Read": "p:u"}))
	g.Expect(seen.Containers[0]).To(HaveKeyWithValue("objects", HaveLen(1)))
	g.Expect(seen.Account).To(HaveKeyWithValue("integrity", "ok"))
}

func TestWhatIsBrokenOnTheDisksIsNamed(t *testing.T) {
	overwrite := func(content string) func(*testing.T, fakeDisk) {
		return func(t *testing.T, d fakeDisk) {
			t.Helper()
			NewWithT(t).Expect(os.WriteFile(d.file(t, "objects/*/*/*/*.data"), []byte(content), 0o600)).To(Succeed())
		}
	}
	sql := func(kind, statement string) func(*testing.T, fakeDisk) {
		return func(t *testing.T, d fakeDisk) {
			t.Helper()
			out, err := osexec.CommandContext(t.Context(), "python3", "-c",
				"import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.executescript(sys.argv[2]); db.commit()",
				d.file(t, kind+"/*/*/*/*.db"), statement).CombinedOutput()
			NewWithT(t).Expect(err).NotTo(HaveOccurred(), string(out))
		}
	}
	for name, c := range map[string]struct {
		change    func(*testing.T, fakeDisk)
		attribute string
	}{
		"same size, other bytes": {overwrite("CONTENT"), "file_of c/o.sha256"},
		"truncated":              {overwrite("con"), "file_of c/o.size"},
		"file gone": {func(t *testing.T, d fakeDisk) {
			t.Helper()
			NewWithT(t).Expect(os.Remove(d.file(t, "objects/*/*/*/*.data"))).To(Succeed())
		}, "file_of c/o"},
		"metadata do not have their checksum": {func(t *testing.T, d fakeDisk) {
			t.Helper()
			NewWithT(t).Expect(unix.Setxattr(d.file(t, "objects/*/*/*/*.data"), "user.swift.metadata1", []byte("z"), 0)).To(Succeed())
		}, "file_of c/o.metadata.X-Object-Meta-Note"},
		"row gone":        {sql("containers", "DELETE FROM object WHERE name = 'o'"), "database_of c.objects[o].etag"},
		"row changed":     {sql("containers", "UPDATE object SET etag = 'y'"), "database_of c.objects[o].etag"},
		"readers changed": {sql("containers", `UPDATE container_info SET metadata = '{"X-Container-Read": [".r:*", "9"]}'`), "database_of c.metadata.X-Container-Read"},
		"container's row": {sql("accounts", "UPDATE container SET deleted = 1"), "account_database.containers[c].object_count"},
		"database damaged": {func(t *testing.T, d fakeDisk) {
			t.Helper()
			NewWithT(t).Expect(os.WriteFile(d.file(t, "containers/*/*/*/*.db"), []byte(strings.Repeat("garbage", 2000)), 0o600)).To(Succeed())
		}, "database_of c.integrity"},
		"database gone": {func(t *testing.T, d fakeDisk) {
			t.Helper()
			NewWithT(t).Expect(os.RemoveAll(d.root + "/disks/sdb1/accounts")).To(Succeed())
		}, "account_database"},
	} {
		t.Run(name, func(t *testing.T) {
			check, disk := recorded(t)
			c.change(t, disk)
			var difference *resources.Difference
			NewWithT(t).Expect(errors.As(check.VerifyNoAPI(t.Context(), resources.PreUpgrade), &difference)).To(BeTrue())
			NewWithT(t).Expect(difference.Seen()).To(ContainSubstring(c.attribute + ": "))
		})
	}
}

func TestMetadataThatWouldRunCodeAreNotLoaded(t *testing.T) {
	check, disk := recorded(t)
	// pickle's way to call a function: c<module>\n<name>\n … R
	bomb := []byte("cos\nsystem\n(S'touch " + disk.root + "/ran'\ntR.")
	path := disk.file(t, "objects/*/*/*/*.data")
	NewWithT(t).Expect(unix.Setxattr(path, "user.swift.metadata", bomb, 0)).To(Succeed())
	NewWithT(t).Expect(unix.Removexattr(path, "user.swift.metadata1")).To(Succeed())
	NewWithT(t).Expect(unix.Removexattr(path, "user.swift.metadata_checksum")).To(Succeed())
	NewWithT(t).Expect(check.VerifyNoAPI(t.Context(), resources.PreUpgrade)).NotTo(Succeed())
	NewWithT(t).Expect(disk.root + "/ran").NotTo(BeAnExistingFile())
}

func TestWhatIsLeftOfAnAccountIsFound(t *testing.T) {
	g := NewWithT(t)
	check, disk := recorded(t)
	inside, err := check.inside()
	g.Expect(err).NotTo(HaveOccurred())
	var found left
	g.Expect(inside.ask(t.Context(), map[string]any{"everything": "a"}, &found)).To(Succeed())
	g.Expect(found.Data).To(ConsistOf(disk.file(t, "objects/*/*/*/*.data")))
	g.Expect(found.Containers).To(ConsistOf(ContainSubstring("container c")))
	g.Expect(found.Accounts).To(ConsistOf(ContainSubstring("account a")))
	found = left{}
	g.Expect(inside.ask(t.Context(), map[string]any{"everything": "another"}, &found)).To(Succeed())
	g.Expect(found).To(Equal(left{Data: []string{}, Containers: []string{}, Accounts: []string{}}))
}

func TestANodeWithoutSwiftIsNotChecked(t *testing.T) {
	check, disk := recorded(t)
	NewWithT(t).Expect(os.Remove(disk.root + "/etc/swift.conf")).To(Succeed())
	NewWithT(t).Expect(resources.IsNotChecked(check.VerifyNoAPI(t.Context(), resources.PreUpgrade))).To(BeTrue())
}
