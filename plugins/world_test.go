package plugins

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/exec"
	"grenade/framework/node"
)

// world is a STACK_ROOT in a temporary directory with the real GRENADE_DIR and
// two stub trees: the fewest functions that scripts and our shell call.
type world struct {
	root, save, grenade, base, target string
}

const stubFunctions = `
[[ -z ${_STUB_FUNCTIONS:-} ]] || return 0
_STUB_FUNCTIONS=1
declare -gA GITREPO GITBRANCH GITDIR
function err { echo "[ERROR] ${BASH_SOURCE[2]}:$*" >&2; }
function die { local code=$?; set +o xtrace; ((code)) || code=1; err "$@"; exit $code; }
function is_service_enabled { local s; for s in "$@"; do [[ ,$ENABLED_SERVICES, == *,$s,* ]] && return 0; done; return 1; }
function get_release_name_from_branch { echo "${1#*/}"; }
`

func newWorld(t *testing.T) *world {
	t.Helper()
	g := NewWithT(t)
	root := t.TempDir()
	w := &world{
		root: root, save: filepath.Join(root, "save"), grenade: filepath.Join(root, "save/grenade"),
		base: filepath.Join(root, "old/devstack"), target: filepath.Join(root, "new/devstack"),
	}
	g.Expect(os.MkdirAll(w.save, 0o700)).To(Succeed())
	g.Expect(Materialise(w.grenade)).To(Succeed())
	// No dumps of the tree's functions: a script that is run once never uses one.
	w.write(t, filepath.Join(w.save, dumpsName), "", 0o600)
	for _, tree := range []string{w.base, w.target} {
		w.write(t, filepath.Join(tree, "functions"), stubFunctions, 0o644)
		w.write(t, filepath.Join(tree, "lib/stack"), "", 0o644)
		w.write(t, filepath.Join(tree, "openrc"), "export OS_USERNAME=$1\n", 0o644)
		w.write(t, filepath.Join(tree, "stackrc"),
			"source \"$(dirname \"${BASH_SOURCE[0]}\")/functions\"\nENABLED_SERVICES=key,glance,placement-api\nDATABASE_TYPE=mysql\nMYSQL_PASSWORD=secret\n", 0o644)
	}
	return w
}

func (w *world) write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	g := NewWithT(t)
	g.Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
	g.Expect(os.WriteFile(path, []byte(text), mode)).To(Succeed())
	g.Expect(os.Chmod(path, mode)).To(Succeed())
	return path
}

// inTree are the projects of the in-tree plugins, in order.
func inTree(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob("[0-9][0-9]_*")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	projects := make([]string, len(dirs))
	for i, dir := range dirs {
		_, projects[i], _ = strings.Cut(dir, "_")
	}
	return projects
}

// plugin writes an out-of-tree plugin and returns its directory.
func (w *world) plugin(t *testing.T, name, settings string) string {
	t.Helper()
	dir := filepath.Join(w.root, "plugins", name, "devstack/upgrade")
	w.write(t, filepath.Join(dir, "settings"), settings, 0o644)
	return dir
}

func (w *world) environ() map[string]string {
	return map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": w.root, "LANG": "C.UTF-8",
		"STACK_ROOT": w.root, "SAVE_DIR": w.save, "GRENADE_DIR": w.grenade, "LOGDIR": w.root,
		"BASE_DEVSTACK_DIR": w.base, "TARGET_DEVSTACK_DIR": w.target, "TOP_DIR": w.base,
		"BASE_DEVSTACK_BRANCH": "stable/zed", "TARGET_DEVSTACK_BRANCH": "stable/2025.1",
	}
}

// bash runs a script that has sourced grenaderc and functions, and returns what
// it wrote and its exit code.
func (w *world) bash(t *testing.T, body string, env ...string) (output string, code int) {
	t.Helper()
	script := w.write(t, filepath.Join(w.root, "script.sh"),
		"source $GRENADE_DIR/grenaderc\nsource $GRENADE_DIR/functions\n"+body, 0o755)
	command := exec.Command{
		Args: []string{"bash", script}, Dir: w.root, Log: filepath.Join(w.root, "script.log"), Timeout: 20 * time.Second,
	}
	for name, value := range w.environ() {
		command.Env = append(command.Env, name+"="+value)
	}
	command.Env = append(command.Env, env...)
	g := NewWithT(t)
	g.Expect(os.RemoveAll(command.Log)).To(Succeed())
	result, err := exec.Run(t.Context(), command)
	var failed *exec.Error
	if err != nil {
		g.Expect(errors.As(err, &failed)).To(BeTrue(), "%v", err)
		g.Expect(failed.TimedOut).To(BeFalse(), "the script did not end: %v", err)
	}
	content, err := os.ReadFile(command.Log)
	g.Expect(err).NotTo(HaveOccurred())
	return string(content), result.ExitCode
}

// said runs a command that must succeed and returns what it wrote.
func (w *world) said(t *testing.T, command exec.Command) string {
	t.Helper()
	command.Log = filepath.Join(w.root, "said.log")
	_, err := exec.Run(t.Context(), command)
	content, readErr := os.ReadFile(command.Log)
	NewWithT(t).Expect(errors.Join(err, readErr)).NotTo(HaveOccurred(), "%s", content)
	return string(content)
}

// here runs commands of the node on this host, as whoever runs the test.
type here struct{}

func (here) Run(ctx context.Context, command node.Command) (exec.Result, error) {
	return exec.Run(ctx, command.Command)
}

func (w *world) read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(w.save, name))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return string(content)
}

func lines(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }
