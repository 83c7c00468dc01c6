// Package behaviour tests what the suite does before there is a cloud: it
// builds the suite as users do and runs it as a process, one script per case.
package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"grenade/framework/exec"
	"grenade/framework/tree/devstack/tinytree"
	"grenade/resources/keystone/fakekeystone"
)

// TestBehaviour runs the scripts of testdata. In them, "suite" is the compiled
// suite and "cloud" hack/cloud, which make clean calls; STACK_ROOT, the cache and the results lie in the script's own
// directory.
func TestBehaviour(t *testing.T) {
	bin := t.TempDir()
	// Somebody else than root runs the suite in one of the scripts.
	if err := os.Chmod(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"test", "-c", "-o", filepath.Join(bin, "suite"), "grenade/suite"},
		{"build", "-o", filepath.Join(bin, "cloud"), "grenade/hack/cloud"},
	} {
		build := osexec.CommandContext(t.Context(), "go", args...)
		if output, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
	// testscript sometimes leaves the directory in which it made the scripts' own, empty.
	var parent sync.Map
	t.Cleanup(func() {
		parent.Range(func(dir, _ any) bool {
			if err := os.Remove(fmt.Sprint(dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
			return true
		})
	})
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Condition: func(condition string) (bool, error) {
			if condition == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("there is no condition %q", condition)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"tiny-devstack": tinyDevstack, "fake-cloud": fakeCloud, "cloud-is-empty": cloudIsEmpty, "chmod-x": chmodX},
		Setup: func(env *testscript.Env) error {
			parent.Store(filepath.Dir(env.WorkDir), nil)
			// Trees are used by another user than root, too.
			for dir := env.WorkDir; dir != os.TempDir() && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
				if err := os.Chmod(dir, 0o755); err != nil {
					return err
				}
			}
			// A script that fails half-way must not leave what its runs have started.
			env.Defer(func() {
				for name, value := range map[string]string{"WORK": env.WorkDir, "HOME": filepath.Join(env.WorkDir, "stack")} {
					if _, err := exec.KillCookie(context.Background(), name, value, 0); err != nil {
						t.Error(err)
					}
				}
			})
			env.Values[fakeKey{}] = new(*fakekeystone.Server)
			env.Setenv("SUITE", filepath.Join(bin, "suite"))
			env.Setenv("CHECKOUT", checkout)
			env.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			env.Setenv("STACK_ROOT", filepath.Join(env.WorkDir, "stack"))
			env.Setenv("GRENADE_CACHE_DIR", filepath.Join(env.WorkDir, "cache"))
			env.Setenv("RESULTS_DIR", filepath.Join(env.WorkDir, "results"))
			// A cloud that runs on this machine has the default ones.
			env.Setenv("NODE_ADDRESS", "10.97.250.2/24")
			env.Setenv("FLOATING_RANGE", "10.97.251.0/24")
			env.Setenv("GRENADE_EXIT_FILE", filepath.Join(env.WorkDir, "code"))
			env.Setenv("PWD", env.WorkDir)
			return nil
		},
	})
}

// tinyDevstack makes a repository of small DevStack-shaped trees: "tiny-devstack dir", which is then a GIT_BASE.
func tinyDevstack(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: tiny-devstack dir")
	}
	ts.Check(tinytree.Repository(context.Background(), ts.MkAbs(args[0])))
}

// chmodX makes the scripts below a directory executable, which a txtar's files are not.
func chmodX(ts *testscript.TestScript, _ bool, args []string) {
	for _, dir := range args {
		ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, _ os.DirEntry, err error) error {
			if err == nil && filepath.Ext(path) == ".sh" {
				err = os.Chmod(path, 0o755)
			}
			return err
		}))
	}
}
