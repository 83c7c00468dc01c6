package plugincheck

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	. "github.com/onsi/gomega"
	"github.com/rogpeppe/go-internal/txtar"

	"grenade/framework/tree/debstack"
	"grenade/plugins"
)

const docs = "../../docs/plugins.md"

// example unpacks the plugin of the documentation, and returns its directory.
func example(t *testing.T) string {
	t.Helper()
	g := NewWithT(t)
	text, err := os.ReadFile(docs)
	g.Expect(err).NotTo(HaveOccurred())
	block := regexp.MustCompile("(?s)<!-- file: (\\S+) -->\n```bash\n(.*?)```\n")
	var archive txtar.Archive
	for _, match := range block.FindAllStringSubmatch(string(text), -1) {
		archive.Files = append(archive.Files, txtar.File{Name: "notes/" + match[1], Data: []byte(match[2])})
	}
	dir := filepath.Join(unpack(t, &archive), "notes/devstack/upgrade")
	for _, file := range []string{"settings", "upgrade.sh", "shutdown.sh", "resources.sh"} {
		g.Expect(filepath.Join(dir, file)).To(BeAnExistingFile())
	}
	return dir
}

// The example that authors are given must be one.
func TestTheDocumentedPluginIsClean(t *testing.T) {
	g := NewWithT(t)
	carried, err := debstack.NewTree()
	g.Expect(err).NotTo(HaveOccurred())
	report, err := Check(t.Context(), Input{Dirs: []string{example(t)}, Tree: carried.Files()})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(report.Findings).To(BeEmpty())
	g.Expect(report.Unfollowed).To(BeEmpty())
}

// A cloud of files: each object is one, named by its id.
const fakeOpenstack = `#!/usr/bin/env bash
set -euo pipefail
kind=$1 verb=$2 last=${*: -1}
mkdir -p "$CLOUD/$kind"
cd "$CLOUD/$kind"
case $verb in
    create) [[ $kind == note ]] || last="$last at birth"; id=$kind-1; printf '%s\n' "$last" >"$id"; echo "$id" ;;
    show) cat "$last" ;;
    list) ls ;;
    delete) rm "$last" ;;
    add) ;;
esac
`

// Its phases do what the documentation says, on stubs of a tree and of the client.
func TestTheDocumentedPluginRuns(t *testing.T) {
	g := NewWithT(t)
	dir, root := example(t), t.TempDir()
	base, cloud := filepath.Join(root, "old"), filepath.Join(root, "cloud")
	g.Expect(plugins.Materialise(filepath.Join(root, "grenade"))).To(Succeed())
	g.Expect(os.CopyFS(base, fstest.MapFS{
		"functions": {Data: []byte("function die { echo \"$@\"; exit 1; }\n")}, "lib/stack": {}, "openrc": {},
		"bin/openstack": {Data: []byte(fakeOpenstack), Mode: 0o755}, "bin/sudo": {Data: []byte("#!/bin/sh\nexec \"$@\"\n"), Mode: 0o755},
	})).To(Succeed())
	run := func(phase ...string) error {
		command := exec.CommandContext(t.Context(), filepath.Join(dir, "resources.sh"), phase...)
		command.Env = []string{
			"PATH=" + filepath.Join(base, "bin") + ":" + os.Getenv("PATH"), "GRENADE_DIR=" + filepath.Join(root, "grenade"), "GRENADE_SAVE_DIR=" + root,
			"SAVE_DIR=" + root, "STACK_ROOT=" + root, "TOP_DIR=" + base, "BASE_DEVSTACK_DIR=" + base, "TARGET_DEVSTACK_DIR=" + base,
			"CLOUD=" + cloud, "NOTES_DATA_DIR=" + filepath.Join(cloud, "note"),
		}
		output, err := command.CombinedOutput()
		t.Logf("%v: %s", phase, output)
		return err
	}
	for _, phase := range [][]string{{"create"}, {"verify", "pre-upgrade"}, {"verify_noapi", "pre-upgrade"}, {"verify", "post-upgrade"}} {
		g.Expect(run(phase...)).To(Succeed())
	}
	note := filepath.Join(cloud, "note/note-1")
	g.Expect(os.WriteFile(note, []byte("another text\n"), 0o644)).To(Succeed())
	g.Expect(run("verify", "post-upgrade")).NotTo(Succeed(), "the note has changed")
	g.Expect(run("verify_noapi", "pre-upgrade")).NotTo(Succeed(), "its file has changed")
	g.Expect(run("destroy")).To(Succeed())
	for _, kind := range []string{"note", "user", "project"} {
		g.Expect(os.ReadDir(filepath.Join(cloud, kind))).To(BeEmpty())
	}
	g.Expect(run("destroy")).To(Succeed(), "destroy twice")
}

func TestTheDocumentationNamesEveryRule(t *testing.T) {
	g := NewWithT(t)
	text, err := os.ReadFile(docs)
	g.Expect(err).NotTo(HaveOccurred())
	for _, rule := range Rules() {
		if rule.Name == ruleAllow || rule.Name == ruleUnreadable {
			continue // no traps
		}
		g.Expect(strings.Contains(string(text), "`"+rule.Name+"`")).To(BeTrue(), rule.Name)
	}
}

// What we ship is what we ask of others.
func TestTheInTreePluginsAreClean(t *testing.T) {
	g := NewWithT(t)
	dirs, err := Locate("..")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(dirs).NotTo(BeEmpty())
	carried, err := debstack.NewTree()
	g.Expect(err).NotTo(HaveOccurred())
	report, err := Check(t.Context(), Input{Dirs: dirs, Tree: carried.Files()})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(report.Findings).To(BeEmpty())
}
