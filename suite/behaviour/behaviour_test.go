// Package behaviour tests what the suite does before there is a cloud: it
// builds the suite as users do and runs it as a process, one script per case.
package behaviour_test

import (
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestBehaviour runs the scripts of testdata. In them, "suite" is the compiled
// suite; STACK_ROOT, the cache and the results lie in the script's own
// directory.
func TestBehaviour(t *testing.T) {
	bin := t.TempDir()
	// Somebody else than root runs the suite in one of the scripts.
	if err := os.Chmod(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	build := osexec.CommandContext(t.Context(), "go", "test", "-c", "-o", filepath.Join(bin, "suite"), "grenade/suite")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the suite: %v\n%s", err, output)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Condition: func(condition string) (bool, error) {
			if condition == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("there is no condition %q", condition)
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("SUITE", filepath.Join(bin, "suite"))
			env.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			env.Setenv("STACK_ROOT", filepath.Join(env.WorkDir, "stack"))
			env.Setenv("GRENADE_CACHE_DIR", filepath.Join(env.WorkDir, "cache"))
			env.Setenv("RESULTS_DIR", filepath.Join(env.WorkDir, "results"))
			env.Setenv("GRENADE_EXIT_FILE", filepath.Join(env.WorkDir, "code"))
			env.Setenv("PWD", env.WorkDir)
			return nil
		},
	})
}
