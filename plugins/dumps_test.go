package plugins

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// dumpedTree is what the tree's functions are in these tests.
const dumpedTree = "function die { exit 1; }\nfunction which_tree { echo first; }\n"

// sourced runs a script that sources functions, traced as in a run, after it did
// something else.
func (w *world) sourced(t *testing.T, dumps, before, after string) string {
	t.Helper()
	script := w.write(t, filepath.Join(w.root, "p/resources.sh"), "#!/usr/bin/env bash\nset -o errexit\n"+before+
		"\nsource $GRENADE_DIR/grenaderc\nsource $GRENADE_DIR/functions\nset +o errexit\n"+after+"\n", 0o755)
	command, err := ScriptCommand(ScriptInput{Path: script, Trace: filepath.Join(w.save, "traces/verify/p"), Dumps: dumps, Environ: w.environ()})
	g := NewWithT(t)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.RemoveAll(filepath.Join(w.root, "said.log"))).To(Succeed())
	return w.said(t, command)
}

// dumped is a world whose target tree has a dump, and what is known of it.
func dumped(t *testing.T) (w *world, dumps *Dumps, dir string) {
	t.Helper()
	g := NewWithT(t)
	w = newWorld(t)
	w.allowDumps(t)
	w.write(t, filepath.Join(w.target, "functions"), dumpedTree, 0o644)
	w.write(t, filepath.Join(w.target, "inc/more"), "true\n", 0o644)
	dumps = NewDumps(w.save, w.target, func(path string) string { return path })
	g.Expect(dumps.Of()).To(BeEmpty(), "there is no dump yet")
	settle(t, dumps)
	w.sourced(t, "", "", "")
	g.Expect(w.dumps(t)).To(Equal(1))
	dir = dumps.Of()
	g.Expect(filepath.Dir(dir)).To(Equal(filepath.Join(w.save, dumpsName)))
	g.Expect(dumps.Of()).To(Equal(dir), "asked again")
	return w, dumps, dir
}

// settle waits until no file of the tree was written in the last moment.
func settle(t *testing.T, dumps *Dumps) {
	t.Helper()
	NewWithT(t).Eventually(func(g Gomega) {
		state, err := dumps.stateNow()
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(settled(state)).To(BeTrue())
	}).Should(Succeed())
}

func TestDumpsFitAsLongAsTheTreesFilesAreTheSame(t *testing.T) {
	const other = "function die { exit 2; }\nfunction which_tree { echo first; }\n"
	for name, one := range map[string]struct {
		change func(g Gomega, functions string)
		fits   bool
	}{
		"written in place, of the same size and time": {change: func(g Gomega, functions string) {
			old, err := os.Stat(functions)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(os.WriteFile(functions, []byte(other), 0o600)).To(Succeed())
			g.Expect(os.Chtimes(functions, old.ModTime(), old.ModTime())).To(Succeed())
		}},
		"replaced, with the time of the old one": {change: func(g Gomega, functions string) {
			old, err := os.Stat(functions)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(os.WriteFile(functions+".new", []byte(other), 0o600)).To(Succeed())
			g.Expect(os.Chtimes(functions+".new", old.ModTime(), old.ModTime())).To(Succeed())
			g.Expect(os.Rename(functions+".new", functions)).To(Succeed())
		}},
		"a file more": {change: func(g Gomega, functions string) {
			g.Expect(os.WriteFile(functions+"-more", nil, 0o600)).To(Succeed())
		}},
		"a file less": {change: func(g Gomega, functions string) {
			g.Expect(os.Remove(filepath.Join(filepath.Dir(functions), "inc/more"))).To(Succeed())
		}},
		"a file that bash would not find": {fits: true, change: func(g Gomega, functions string) {
			g.Expect(os.WriteFile(filepath.Join(filepath.Dir(functions), "inc/.more.swp"), nil, 0o600)).To(Succeed())
		}},
		"the same bytes, written again": {fits: true, change: func(g Gomega, functions string) {
			g.Expect(os.WriteFile(functions, []byte(dumpedTree), 0o600)).To(Succeed())
		}},
		"another checkout at its place": {change: func(g Gomega, functions string) {
			tree := filepath.Dir(functions)
			g.Expect(os.Rename(tree, tree+".old")).To(Succeed())
			g.Expect(os.MkdirAll(tree, 0o755)).To(Succeed())
			g.Expect(os.WriteFile(functions, []byte(other), 0o600)).To(Succeed())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w, dumps, dir := dumped(t)
			one.change(g, filepath.Join(w.target, "functions"))
			settle(t, dumps)
			if one.fits {
				g.Expect(dumps.Of()).To(Equal(dir))
			} else {
				g.Expect(dumps.Of()).To(BeEmpty())
			}
		})
	}
}

func TestFilesThatWereJustChangedAreNotTrusted(t *testing.T) {
	g := NewWithT(t)
	at := func(changed time.Time) map[string]fileState {
		return map[string]fileState{"functions": {status: changed}}
	}
	g.Expect(settled(at(time.Now().Add(time.Hour)))).To(BeFalse())
	g.Expect(settled(at(time.Now().Add(-2 * settledAfter)))).To(BeTrue())
}

func TestAScriptThatIsToldOfADumpDoesNotReadTheTree(t *testing.T) {
	g := NewWithT(t)
	w, dumps, dir := dumped(t)
	known := dumps.Of()
	// Whoever reads the files finds that they are not these.
	later := time.Now().Add(time.Hour)
	g.Expect(os.WriteFile(filepath.Join(dir, "sums"), []byte("0  "+w.target+"/functions\n"), 0o600)).To(Succeed())
	g.Expect(os.Chtimes(filepath.Join(dir, "sums"), later, later)).To(Succeed())
	const see = usedDump + "; env | grep GRENADE_DUMPS || echo 'children are not told'; compgen -v _LOAD || echo 'nothing is left'"
	g.Expect(w.sourced(t, known, "", see)).To(And(ContainSubstring(dir), HaveSuffix("children are not told\nnothing is left\n")))
	g.Expect(w.sourced(t, "", "", see)).NotTo(ContainSubstring(dir))
}

func TestAScriptThatChangesTheTreeFirstGetsWhatIsThere(t *testing.T) {
	for name, change := range map[string]string{
		"a line more":  "echo 'function which_tree { echo second; }' >>$TARGET_DEVSTACK_DIR/functions",
		"another file": "sed -i s/first/second/ $TARGET_DEVSTACK_DIR/functions",
		"a new file":   "echo 'function which_tree { echo second; }' >$TARGET_DEVSTACK_DIR/inc/other; echo source $TARGET_DEVSTACK_DIR/inc/other >>$TARGET_DEVSTACK_DIR/functions",
		"a file less":  "echo 'function which_tree { echo second; }' >$TARGET_DEVSTACK_DIR/lib/stack; rm $TARGET_DEVSTACK_DIR/inc/more",
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w, dumps, _ := dumped(t)
			g.Expect(w.sourced(t, dumps.Of(), "", "which_tree")).To(Equal("first\n"))
			g.Expect(w.sourced(t, dumps.Of(), change, "which_tree")).To(Equal("second\n"))
		})
	}
}
