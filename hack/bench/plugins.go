package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/plugins"
)

// seen is what one run has shown.
type seen struct {
	size            int
	scripts         int
	setup           time.Duration // of all before the first script: configuration, plan, settings
	rows            spent         // on all rows, their scripts included
	report          time.Duration // of writing its files in the end
	bare, save, get time.Duration // of one
	peakMB          float64       // of this process, so far
}

func (s seen) perRow() time.Duration    { return s.rows.wall / time.Duration(s.scripts) }
func (s seen) cpuPerRow() time.Duration { return s.rows.cpu / time.Duration(s.scripts) }

// scriptLimit is how long a script that does nothing may take.
const scriptLimit = time.Minute

// What every script of every plugin begins with.
const preamble = "#!/usr/bin/env bash\nset -o errexit\nsource $GRENADE_DIR/grenaderc\nsource $GRENADE_DIR/functions\n"

// savedID is what create of every plugin saves.
const savedID = "6d1f7c1e-0b7d-4d0c-9d65-7c1f5a1f1d0c"

// site is a STACK_ROOT in a temporary directory.
type site struct {
	root, save, grenade string
	node                node.Node
	user                string
	dumps               bool
}

// withSite makes a site with so many plugins, has it used, and removes it.
func withSite(size int, tree string, dumps bool, use func(*site) error) (err error) {
	root, err := os.MkdirTemp("", "grenade-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	here, err := newSite(root, tree, dumps)
	if err != nil {
		return err
	}
	for i := range size {
		if err := here.plugin(i); err != nil {
			return err
		}
	}
	return use(here)
}

// measure makes a run of ours in the site, and looks at what its store and a bare
// script cost.
func (s *site) measure(ctx context.Context, size int) (result seen, err error) {
	if err := s.run(ctx, size, &result); err != nil {
		return seen{}, err
	}
	if result.bare, err = s.bare(ctx); err != nil {
		return seen{}, err
	}
	if result.save, result.get, err = s.store(ctx); err != nil {
		return seen{}, err
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return seen{}, fmt.Errorf("memory: %w", err)
	}
	result.peakMB = float64(usage.Maxrss) / 1024
	return result, nil
}

func newSite(root, tree string, dumps bool) (*site, error) {
	who, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	here := &site{
		root: root, save: filepath.Join(root, "save"), grenade: filepath.Join(root, "save/grenade"),
		node: node.NewLocal("bench", ""), user: who.Username,
	}
	here.dumps = dumps
	// A plugin that is used where it is must be open to the node's user.
	err = os.Chmod(root, 0o755)
	for _, side := range []string{"old", "new"} {
		err = errors.Join(err, copyTree(filepath.Join(root, side, "devstack"), tree))
	}
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	return here, nil
}

func (s *site) pluginDir(i int) string {
	return filepath.Join(s.root, "plugins", "p"+strconv.Itoa(i), "devstack/upgrade")
}

// plugin writes one that saves a value in create and looks at it afterwards.
func (s *site) plugin(i int) error {
	name := "p" + strconv.Itoa(i)
	resources := preamble + strings.NewReplacer("NAME", name, "ID", savedID).Replace(`case $1 in
    create) resource_save NAME id ID ;;
    verify | verify_noapi) for key in id id missing; do resource_get NAME $key >/dev/null; done ;;
esac
`)
	err := os.MkdirAll(s.pluginDir(i), 0o755)
	err = errors.Join(err, os.WriteFile(filepath.Join(s.pluginDir(i), "settings"), []byte("register_project_for_upgrade "+name+"\n"), 0o644))
	for script, text := range map[string]string{"resources.sh": resources, "upgrade.sh": preamble, "shutdown.sh": preamble} {
		err = errors.Join(err, os.WriteFile(filepath.Join(s.pluginDir(i), script), []byte(text), 0o755))
	}
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

func (s *site) environ(project string) map[string]string {
	return map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": s.root, "LANG": "C.UTF-8", "GRENADE_DIR": s.grenade, "GRENADE_PROJECT": project,
		"SAVE_DIR": s.save, "STACK_ROOT": s.root, "LOGDIR": filepath.Join(s.save, "logs"),
		"BASE_DEVSTACK_DIR": filepath.Join(s.root, "old/devstack"), "TARGET_DEVSTACK_DIR": filepath.Join(s.root, "new/devstack"),
		"TOP_DIR":              filepath.Join(s.root, "old/devstack"),
		"BASE_DEVSTACK_BRANCH": "stable/zed", "TARGET_DEVSTACK_BRANCH": "stable/2025.1",
	}
}

// script runs a plugin's script as a run does, trace and all.
func (s *site) script(ctx context.Context, project, path string, args ...string) error {
	command, err := plugins.ScriptCommand(plugins.ScriptInput{
		Path: path, Args: args, Environ: s.environ(project),
		Trace: filepath.Join(s.save, "traces", filepath.Base(path), project),
	})
	if err != nil {
		return err
	}
	command.Log = filepath.Join(s.root, "logs", project+".log")
	if err := os.MkdirAll(filepath.Dir(command.Log), 0o755); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return s.command(ctx, command)
}

func (s *site) command(ctx context.Context, command exec.Command) error {
	command.Timeout = scriptLimit
	_, err := s.node.Run(ctx, node.Command{User: s.user, Command: command})
	return err
}

// bare is what a bash script costs that does nothing at all.
func (s *site) bare(ctx context.Context) (time.Duration, error) {
	const times = 100
	path := filepath.Join(s.root, "bare.sh")
	if err := os.WriteFile(path, []byte("#!/usr/bin/env bash\n:\n"), 0o755); err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	began := time.Now()
	for range times {
		if err := s.command(ctx, exec.Command{Args: []string{"bash", path}, Dir: s.root, Env: []string{"PATH=" + os.Getenv("PATH")}}); err != nil {
			return 0, err
		}
	}
	return time.Since(began) / times, nil
}

// store is what one save and one get cost in a loop inside one bash.
func (s *site) store(ctx context.Context) (save, get time.Duration, err error) {
	const times = 200
	path, result := filepath.Join(s.root, "store.sh"), filepath.Join(s.root, "store.result")
	text := preamble + fmt.Sprintf(`_bench_n=%d
_bench_began=${EPOCHREALTIME/[.,]/}
for ((_bench_i = 0; _bench_i < _bench_n; _bench_i++)); do resource_save bench "key$((_bench_i %% 180))" "value $_bench_i"; done
_bench_saved=${EPOCHREALTIME/[.,]/}
for ((_bench_i = 0; _bench_i < _bench_n; _bench_i++)); do resource_get bench "key$((_bench_i %% 180))"; done >/dev/null
echo "$(((_bench_saved - _bench_began) * 1000 / _bench_n)) $(((${EPOCHREALTIME/[.,]/} - _bench_saved) * 1000 / _bench_n))" >%s
`, times, result)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		return 0, 0, fmt.Errorf("bench: %w", err)
	}
	if err := s.script(ctx, "bench", path); err != nil {
		return 0, 0, err
	}
	content, err := os.ReadFile(result)
	if err != nil {
		return 0, 0, fmt.Errorf("bench: %w", err)
	}
	if _, err := fmt.Sscan(string(content), &save, &get); err != nil {
		return 0, 0, fmt.Errorf("bench: what the loop wrote, %q: %w", content, err)
	}
	return save, get, nil
}
