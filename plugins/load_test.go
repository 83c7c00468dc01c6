package plugins

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// shellState prints all that a script can tell of its shell: variables,
// functions, exported functions, traps, set and shopt.
const shellState = `
declare -p | grep -vE '^declare -[^ ]* (_|BASH[A-Z_0-9]*|EPOCH[A-Z]*|SECONDS|S?RANDOM|PPID|LINENO|FUNCNAME|PIPESTATUS|_TIME_BEGIN|OLDPWD)(=|$)'
declare -f; declare -F; trap -p; set +o; shopt; umask
`

// trees are those whose functions scripts source. A DevStack checkout is not ours
// to ship.
func trees(t *testing.T) map[string]string {
	t.Helper()
	debstack, err := filepath.Abs("../framework/tree/debstack/tree")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return map[string]string{"debstack": debstack, "devstack": os.Getenv("GRENADE_TEST_DEVSTACK")}
}

// source runs a script that has sourced both, and before that something else.
func (w *world) source(t *testing.T, tree, before, after string, env ...string) (state string) {
	t.Helper()
	w.write(t, filepath.Join(w.root, "before.sh"), before, 0o644)
	env = append(env, "TARGET_DEVSTACK_DIR="+tree, "BASE_DEVSTACK_DIR="+tree, "BASH_ENV="+filepath.Join(w.root, "before.sh"))
	output, code := w.bash(t, after, env...)
	NewWithT(t).Expect(code).To(Equal(0), output)
	return output
}

func (w *world) allowDumps(t *testing.T) {
	t.Helper()
	NewWithT(t).Expect(os.Remove(filepath.Join(w.save, dumpsName))).To(Succeed())
}

func (w *world) dumps(t *testing.T) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(w.save, dumpsName+"/tree.*/dump.*"))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return len(found)
}

const usedDump = `shopt -s extdebug; declare -F die; shopt -u extdebug`

func TestADumpLeavesWhatSourcingLeaves(t *testing.T) {
	for name, tree := range trees(t) {
		for shell, before := range map[string]string{
			"plain": "", "errexit": "set -o errexit", "strict": "set -o errexit -o pipefail; shopt -s inherit_errexit",
			"with a trap and settings": "trap 'echo usr1' USR1; abort() { :; }; NAME=x; export DATABASE_TYPE=mysql ENABLED_SERVICES=key,g-api",
		} {
			t.Run(name+"/"+shell, func(t *testing.T) {
				if tree == "" {
					t.Skip("GRENADE_TEST_DEVSTACK names no DevStack checkout")
				}
				g := NewWithT(t)
				w := newWorld(t)
				sourced := w.source(t, tree, before, shellState)
				w.allowDumps(t)
				g.Expect(lines(w.source(t, tree, before, shellState))).To(Equal(lines(sourced)), "the script that made the dump")
				off, err := filepath.Glob(filepath.Join(w.save, dumpsName+"/tree.*/off"))
				g.Expect(err).NotTo(HaveOccurred())
				for _, reason := range off {
					text, err := os.ReadFile(reason)
					g.Expect(err).NotTo(HaveOccurred())
					t.Fatalf("no dump: %s", text)
				}
				g.Expect(w.dumps(t)).To(Equal(1))

				g.Expect(w.source(t, tree, before, usedDump)).To(ContainSubstring("/functions.cache/"), "the dump was not used")
				dumped := w.source(t, tree, before, shellState)

				g.Expect(differing(lines(sourced), lines(dumped))).To(BeEmpty())
				g.Expect(len(sourced)).To(BeNumerically(">", 10000)) // else nothing was compared
			})
		}
	}
}

// differing returns the lines that only one of the two has.
func differing(before, after []string) []string {
	count := map[string]int{}
	for _, line := range before {
		count[line]++
	}
	for _, line := range after {
		count[line]--
	}
	var found []string
	for line, n := range count {
		if n > 0 {
			found = append(found, "only sourced: "+line)
		} else if n < 0 {
			found = append(found, "only dumped: "+line)
		}
	}
	return found
}

func TestADumpIsUsedOnlyWhereItFits(t *testing.T) {
	const tree = `
[[ -z ${_STUB:-} ]] || return 0
_STUB=1
SIDE=$(basename "$TOP_DIR")
LIMIT=${LIMIT:-7}
function die { echo "$@" >&2; exit 1; }
if ! declare -F echo_summary >/dev/null; then function echo_summary { echo tree; }; fi
`
	const say = "\necho $SIDE $LIMIT; echo_summary; " + usedDump
	for _, one := range []struct {
		name, before, change string
		env                  []string
		said                 string
		dumped               bool
	}{
		{name: "same shell", said: "old 7\ntree\n", dumped: true},
		{name: "a variable that the tree does not know", before: "OTHER=x", said: "old 7\ntree\n", dumped: true},
		{name: "another value", env: []string{"TOP_DIR=/x/new"}, said: "new 7\ntree\n"},
		{name: "a variable more", env: []string{"LIMIT=9"}, said: "old 9\ntree\n"},
		{name: "a variable more that is no text", before: "LIMIT=(1 2)", said: "old 1\ntree\n"},
		{name: "another option", before: "set -o errexit", said: "old 7\ntree\n"},
		{name: "a function that the tree asks for", before: "echo_summary() { echo mine; }", said: "old 7\nmine\n"},
		{name: "the tree was sourced already", before: "_STUB=1; die() { :; }; SIDE=s LIMIT=l; echo_summary() { echo mine; }", said: "s l\nmine\n"},
		{name: "a changed file", change: tree + "LIMIT=8\n", said: "old 8\ntree\n"},
	} {
		t.Run(one.name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t)
			w.allowDumps(t)
			file := filepath.Join(w.target, "functions")
			w.write(t, file, tree, 0o644)
			old, err := os.Stat(file)
			g.Expect(err).NotTo(HaveOccurred())
			env := []string{"TOP_DIR=/x/old"}
			g.Expect(w.source(t, w.target, "", say, env...)).To(HavePrefix("old 7\ntree\n"))
			g.Expect(w.dumps(t)).To(Equal(1))
			if one.change != "" {
				w.write(t, file, one.change, 0o644)
				// Not the time of a file counts, but what is in it.
				g.Expect(os.Chtimes(file, old.ModTime(), old.ModTime())).To(Succeed())
			}
			for range 2 { // the second time there is a dump for this shell, too
				output := w.source(t, w.target, one.before, say, append(env, one.env...)...)
				g.Expect(output).To(HavePrefix(one.said))
				if one.dumped {
					g.Expect(output).To(ContainSubstring("/functions.cache/"))
				}
			}
		})
	}
}

// A script before the upgrade has the base tree for TOP_DIR, and one of the upgrade the target tree.
func TestOneDumpIsForBothTreesWhereTOP_DIRMakesNoDifference(t *testing.T) {
	for name, one := range map[string]struct {
		tree  string
		dumps int
	}{
		"functions ask for it":     {"function die { cd $TOP_DIR; }\n", 1},
		"it is not mentioned":      {"function die { exit 1; }\n", 1},
		"a value comes of it":      {"FILES=$TOP_DIR/files\nfunction die { exit 1; }\n", 2},
		"a function comes of it":   {"function die { exit 1; }\neval \"function where { echo $TOP_DIR; }\"\n", 2},
		"a function where it is":   {"function die { exit 1; }\nif [[ $TOP_DIR == */old* ]]; then function old { :; }; fi\n", 2},
		"it is set":                {"TOP_DIR=/x\nfunction die { exit 1; }\n", 2},
		"it is set to what it was": {"[[ $TOP_DIR == */old/* ]] || TOP_DIR=$BASE_DEVSTACK_DIR\nfunction die { exit 1; }\n", 2},
		"it is taken away":         {"unset -v TOP_DIR\nfunction die { exit 1; }\n", 2},
		"it is made readonly":      {"readonly TOP_DIR\nfunction die { exit 1; }\n", 2},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t)
			w.write(t, filepath.Join(w.target, "functions"), one.tree, 0o644)
			see := func(tree string) string {
				output, code := w.bash(t, shellState, "TOP_DIR="+tree)
				g.Expect(code).To(BeZero(), output)
				return output
			}
			sourced := map[string]string{w.base: see(w.base), w.target: see(w.target)}
			w.allowDumps(t)
			for range 2 {
				for _, tree := range []string{w.base, w.target} {
					g.Expect(differing(lines(sourced[tree]), lines(see(tree)))).To(BeEmpty())
				}
			}
			g.Expect(w.dumps(t)).To(Equal(one.dumps))
		})
	}
}

func TestATreeThatADumpWouldChangeIsSourced(t *testing.T) {
	for name, text := range map[string]string{
		"asks for its own place": "function where { cd \"$(dirname \"${BASH_SOURCE[0]}\")\" && pwd; }\nfunction die { where; }\n",
		"sets a trap":            "function die { :; }\ntrap 'echo usr1' USR1\n",
		"sets an option":         "function die { :; }\nshopt -s nullglob\n",
		"counts":                 "function die { :; }\nCOUNT=$RANDOM$RANDOM\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t)
			w.allowDumps(t)
			w.write(t, filepath.Join(w.target, "functions"), text, 0o644)
			for range 2 {
				output := w.source(t, w.target, "", "\ntrap -p; shopt -p nullglob || :; "+usedDump)
				g.Expect(output).To(ContainSubstring(w.target + "/functions\n"))
				if strings.Contains(text, "trap") {
					g.Expect(output).To(ContainSubstring("echo usr1"))
				}
			}
			g.Expect(w.dumps(t)).To(BeZero())
		})
	}
}

func TestScriptsThatStartTogetherMayAllMakeADump(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	w.allowDumps(t)
	w.write(t, filepath.Join(w.root, "one.sh"), "set -e; source $GRENADE_DIR/grenaderc; source $GRENADE_DIR/functions; declare -F die\n", 0o644)
	output, code := w.bash(t, "for i in 1 2 3 4 5; do bash $STACK_ROOT/one.sh & done; wait; for i in 1 2 3; do bash $STACK_ROOT/one.sh; done; ls $SAVE_DIR/functions.cache")
	g.Expect(code).To(Equal(0), output)
	g.Expect(strings.Count(output, "die\n")).To(Equal(8))
	g.Expect(output).NotTo(ContainSubstring("part."))
}
