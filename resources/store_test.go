package resources

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	. "github.com/onsi/gomega"
)

const storeFile = "grenade_db.ini"

// awkward are the values that a store is most likely to bend.
func awkward() []string {
	return []string{
		"", "plain", "two words", " leading", "trailing ", "  ", "\t", "\n", "\r\n", "a\nb\n", "a\n\n",
		"$'", "$'x'", "'", `"quoted"`, `"`, `\`, `\\`, `\n`, `\t is not a tab`, "mixed \\n and \n", `end\`,
		"[section]", "a = b", "=", "#no comment", ";none", "*", "$(date)", "`id`", "$HOME", "%s%b", "-n", "-e x",
		"ünïcödé 升级", "\xff\xfe not UTF-8", "\x01\x7f\x1b", "\v\f", "\u2028", "\u00a0nbsp\u00a0", strings.Repeat("long ", 10000),
		"{\"json\": [1, \"two\\n\"]}",
	}
}

func TestStoreReturnsEveryValueByteForByte(t *testing.T) {
	store := &Store{Dir: t.TempDir(), Owner: "test"}
	values := map[string]string{}
	for i, value := range awkward() {
		values[fmt.Sprintf("key %d.*", i)] = value
	}
	NewWithT(t).Expect(store.Save(t.Context(), "odd section $x", values)).To(Succeed())
	NewWithT(t).Expect(store.Section("odd section $x")).To(Equal(values))
	for key, value := range values {
		got, ok, err := store.Get("odd section $x", key)
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		NewWithT(t).Expect(ok).To(BeTrue())
		NewWithT(t).Expect(got).To(Equal(value))
	}
}

func TestStoreWritesTheFormThatTheShellReads(t *testing.T) {
	g := NewWithT(t)
	store := &Store{Dir: t.TempDir(), Owner: "nova"}
	g.Expect(store.Save(t.Context(), "nova", map[string]string{"a": "two words", "b": "x\n\t\r\\y'", "c": "", "d": `C:\plain`})).To(Succeed())
	g.Expect(store.Save(t.Context(), "glance", map[string]string{"a": " x"})).To(Succeed())
	g.Expect(store.Save(t.Context(), "nova", map[string]string{"a": "new", "e": `$'`})).To(Succeed())
	content, err := os.ReadFile(filepath.Join(store.Dir, "grenade_db.ini"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(content)).To(Equal(`# saved: 7
[nova]
a = new
b = $'x\n\t\r\\y''
c = 
d = C:\plain
e = $'$''
[glance]
a = $' x'
`))
	log, err := os.ReadFile(filepath.Join(store.Dir, ".grenade_db.log"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(log)).To(HavePrefix("\t1/4\tset\tnova\ta\t=nova\t=two words\t.\n"))
	g.Expect(store.Owners("glance")).To(Equal(map[string]string{"a": "nova"}))
}

func TestStoreTakesKeysLiterally(t *testing.T) {
	g := NewWithT(t)
	store := &Store{Dir: t.TempDir()}
	g.Expect(store.Save(t.Context(), "s", map[string]string{"i.": "dot", "id": "letter", "a*": "star"})).To(Succeed())
	g.Expect(store.Save(t.Context(), "s", map[string]string{"i.": "changed"})).To(Succeed())
	g.Expect(store.Section("s")).To(Equal(map[string]string{"i.": "changed", "id": "letter", "a*": "star"}))
	g.Expect(store.Section("S")).To(BeEmpty())
}

func TestStoreRefusesWhatItCannotGiveBack(t *testing.T) {
	store := &Store{Dir: t.TempDir()}
	for _, name := range []string{"", "a=b", "a]", "a\nb", "a\rb", " a", "a ", "\ta", "[a", "a\x00"} {
		NewWithT(t).Expect(store.Save(t.Context(), "s", map[string]string{name: "v"})).NotTo(Succeed(), "key %q", name)
		NewWithT(t).Expect(store.Save(t.Context(), name, map[string]string{"k": "v"})).NotTo(Succeed(), "section %q", name)
	}
	NewWithT(t).Expect(store.Save(t.Context(), "s", map[string]string{"k": "a\x00b"})).NotTo(Succeed())
	NewWithT(t).Expect(filepath.Join(store.Dir, "grenade_db.ini")).NotTo(BeAnExistingFile())
}

func TestStoreSaysNothingOfWhatIsNotThere(t *testing.T) {
	g := NewWithT(t)
	value, ok, err := (&Store{Dir: t.TempDir()}).Get("no", "such")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ok).To(BeFalse())
	g.Expect(value).To(BeEmpty())
}

func TestStoreForgetsOneSectionOnly(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	store := &Store{Dir: t.TempDir(), Owner: "x"}
	for _, section := range []string{"a", "b", "c"} {
		g.Expect(store.Save(ctx, section, map[string]string{"k": section})).To(Succeed())
	}
	g.Expect(store.Forget(ctx, "b")).To(Succeed())
	g.Expect(store.Section("b")).To(BeEmpty())
	g.Expect(store.Section("a")).To(Equal(map[string]string{"k": "a"}))
	g.Expect(store.Section("c")).To(Equal(map[string]string{"k": "c"}))
}

func TestStoreForgetsAllButWhatBeginsSo(t *testing.T) {
	g := NewWithT(t)
	s := &Store{Dir: t.TempDir(), Owner: "x"}
	early := map[string]string{"shared.id": "1", "shared.note": " two\nlines ", "saved.shared_network": "{}"}
	g.Expect(s.Save(t.Context(), "a", early)).To(Succeed())
	g.Expect(s.Save(t.Context(), "a", map[string]string{"id": "2", "sharedness": "3", "saved.network": "{}"})).To(Succeed())
	g.Expect(s.Forget(t.Context(), "a", "shared.", "saved.shared_")).To(Succeed())
	left, err := s.Section("a")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(left).To(Equal(early))
}

func TestStoreKeepsAllOfManySavesAtOnce(t *testing.T) {
	const writers, each = 16, 10
	store := &Store{Dir: t.TempDir(), Owner: "many"}
	var wait sync.WaitGroup
	for w := range writers {
		wait.Go(func() {
			for i := range each {
				if err := store.Save(t.Context(), fmt.Sprintf("s%d", w%3), map[string]string{fmt.Sprintf("k%d-%d", w, i): "v"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	total := 0
	for s := range 3 {
		section, err := store.Section(fmt.Sprintf("s%d", s))
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		total += len(section)
	}
	NewWithT(t).Expect(total).To(Equal(writers * each))
}

func TestStoreTellsWhenAnotherOwnersValueIsOverwritten(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	dir := t.TempDir()
	var told []Overwrite
	neutron := &Store{Dir: dir, Owner: "neutron"}
	nova := &Store{Dir: dir, Owner: "nova", OnOverwrite: func(o Overwrite) { told = append(told, o) }}
	g.Expect(neutron.Save(ctx, "network", map[string]string{"net_id": "1", "same": "x"})).To(Succeed())
	g.Expect(nova.Save(ctx, "network", map[string]string{"net_id": "2", "same": "x", "own": "y"})).To(Succeed())
	g.Expect(nova.Save(ctx, "network", map[string]string{"net_id": "3"})).To(Succeed())
	g.Expect(told).To(Equal([]Overwrite{{Section: "network", Key: "net_id", Before: "neutron", Now: "nova"}}))
}

func TestStoreSavesNothingMoreOnceItsContextIsDone(t *testing.T) {
	g := NewWithT(t)
	store := &Store{Dir: t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g.Expect(store.Save(ctx, "s", map[string]string{"k": "v"})).To(MatchError(context.Canceled))
	g.Expect(store.Section("s")).To(BeEmpty())
}

func TestResetLeavesNothing(t *testing.T) {
	g := NewWithT(t)
	store := &Store{Dir: t.TempDir(), Owner: "x"}
	g.Expect(store.Save(t.Context(), "s", map[string]string{"k": "v"})).To(Succeed())
	g.Expect(store.Save(t.Context(), "native-s", map[string]string{"k": "v"})).To(Succeed())
	g.Expect(store.Reset(t.Context())).To(Succeed())
	g.Expect(os.ReadDir(store.Dir)).To(BeEmpty())
	g.Expect(store.Section("s")).To(BeEmpty())
}

// What stands between two good lines of a log may be anything that a killed
// writer, or two at once, can leave. Both sides must see the same in it.
func brokenLogs() map[string]string {
	const good = "\t1/1\tset\ts\tk\t=nova\t=%s\t.\n"
	first, last := fmt.Sprintf(good, "first"), fmt.Sprintf(good, "last")
	return map[string]string{
		"whole":                 first + last,
		"end missing":           first + strings.TrimSuffix(last, "\n"),
		"torn and glued":        first + last[:9] + last,
		"two at once":           first + last[:20] + first + last[20:],
		"only a tab and glued":  first + "\t" + last,
		"step without its end":  first + "\t1/2\tset\ts\tk\t=x\t=half\t.\n",
		"step cut by another":   "\t1/2\tset\ts\tk\t=x\t=half\t.\n" + first + "\t2/2\tset\ts\tk\t=x\t=half\t.\n",
		"step":                  first + "\t1/2\tdrop\ts\tk\t=x\t=\t.\n\t2/2\tset\ts\tj\t=x\t=whole\t.\n",
		"wrong order":           first + "\t2/2\tset\ts\tk\t=x\t=b\t.\n\t1/2\tset\ts\tk\t=x\t=a\t.\n",
		"other length":          first + "\t1/2\tset\ts\tk\t=x\t=a\t.\n\t2/3\tset\ts\tk\t=x\t=b\t.\n",
		"number too large":      first + "\t1/99999999999999999999\tset\ts\tk\t=x\t=a\t.\n",
		"leading zero":          first + "\t01/1\tset\ts\tk\t=x\t=a\t.\n",
		"unknown operation":     first + "\t1/1\tmove\ts\tk\t=x\t=a\t.\n",
		"name that cannot be":   first + "\t1/1\tset\ts]\tk\t=x\t=a\t.\n",
		"empty lines":           "\n\n" + first + "\n",
		"encoded names":         first + "\t1/1\tset\t$'s\\ts'\tk\t=x\t=a\t.\n",
		"no equals before them": first + "\t1/1\tset\ts\tk\tx\ta\t.\n",
		"nothing":               "",
	}
}

func TestBothSidesSeeTheSameInABrokenLog(t *testing.T) {
	for name, log := range brokenLogs() {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			store := &Store{Dir: t.TempDir(), Owner: "shell"}
			g.Expect(os.WriteFile(filepath.Join(store.Dir, ".grenade_db.log"), []byte(log), 0o600)).To(Succeed())
			values := map[string]string{}
			for _, key := range []string{"k", "j"} {
				if value, ok, err := store.Get("s", key); ok || err != nil {
					g.Expect(err).NotTo(HaveOccurred())
					values[key] = value + "\n"
				}
				g.Expect(bashStore(t, store.Dir, `resource_get s "$1"`, key)).To(Equal(values[key]), key)
			}
			// And what is saved next is there, for both, wherever the log ended.
			bashStore(t, store.Dir, `resource_save s new "$1"`, "from bash")
			g.Expect(store.Save(t.Context(), "s", map[string]string{"newer": "from Go"})).To(Succeed())
			g.Expect(bashStore(t, store.Dir, `resource_get s new; resource_get s newer`)).To(Equal("from bash\nfrom Go\n"))
			section, err := store.Section("s")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(section).To(HaveKeyWithValue("new", "from bash"))
			for key, value := range values {
				g.Expect(section).To(HaveKeyWithValue(key, strings.TrimSuffix(value, "\n")))
			}
			content, err := os.ReadFile(filepath.Join(store.Dir, storeFile))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(content)).To(ContainSubstring("\nnewer = from Go\n"))
		})
	}
}

// A writer that was stopped for long puts an old file into the place of a new one,
// and is killed before it looks again.
func TestWhatAnOldFileReplacedIsNotLost(t *testing.T) {
	g := NewWithT(t)
	store := &Store{Dir: t.TempDir(), Owner: "x"}
	g.Expect(store.Save(t.Context(), "s", map[string]string{"a": "1"})).To(Succeed())
	old, err := os.ReadFile(filepath.Join(store.Dir, storeFile))
	g.Expect(err).NotTo(HaveOccurred())
	bashStore(t, store.Dir, `resource_save s b 2; resource_save s a 3`)
	g.Expect(os.WriteFile(filepath.Join(store.Dir, storeFile), old, 0o600)).To(Succeed())

	g.Expect(bashStore(t, store.Dir, `resource_get s a; resource_get s b`)).To(Equal("3\n2\n"))
	g.Expect(store.Section("s")).To(Equal(map[string]string{"a": "3", "b": "2"}))
	bashStore(t, store.Dir, `resource_save s c 4`)
	content, err := os.ReadFile(filepath.Join(store.Dir, storeFile))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(content)).To(Equal("# saved: 4\n[s]\na = 3\nb = 2\nc = 4\n"))
}

func TestALogThatSomebodyRemovedBeginsAnew(t *testing.T) {
	g := NewWithT(t)
	store := &Store{Dir: t.TempDir(), Owner: "x"}
	for range 3 {
		bashStore(t, store.Dir, `resource_save s a 1; resource_save s b 2`)
		g.Expect(os.Remove(filepath.Join(store.Dir, ".grenade_db.log"))).To(Succeed())
		bashStore(t, store.Dir, `resource_save s a 3`)
		g.Expect(store.Section("s")).To(Equal(map[string]string{"a": "3", "b": "2"}))
		g.Expect(os.Remove(filepath.Join(store.Dir, ".grenade_db.log"))).To(Succeed())
		g.Expect(store.Save(t.Context(), "s", map[string]string{"a": "4"})).To(Succeed())
		g.Expect(bashStore(t, store.Dir, `resource_get s a; resource_get s b`)).To(Equal("4\n2\n"))
	}
}

func TestSectionsOfNativeChecksAreInAFileOfTheirOwn(t *testing.T) {
	g := NewWithT(t)
	store := &Store{Dir: t.TempDir(), Owner: "x"}
	g.Expect(store.Save(t.Context(), "native-nova", map[string]string{"a": "1"})).To(Succeed())
	bashStore(t, store.Dir, `resource_save native-nova b 2`)
	g.Expect(store.Section("native-nova")).To(Equal(map[string]string{"a": "1", "b": "2"}))
	g.Expect(bashStore(t, store.Dir, `resource_get native-nova a`)).To(Equal("1\n"))
	g.Expect(filepath.Join(store.Dir, storeFile)).NotTo(BeAnExistingFile())
}

// FuzzLog: whatever a log holds, what is appended to it by the book is found.
func FuzzLog(f *testing.F) {
	for _, log := range brokenLogs() {
		f.Add("[s]\nk = old\n", log)
		f.Add("# saved: 1\n[s]\nk = old\n", log)
	}
	f.Fuzz(func(t *testing.T, ini, log string) {
		now := merge([]byte(ini), log)
		if now.log.settled > now.log.lines || now.saved > now.log.lines || now.log.lines != strings.Count(log, "\n") {
			t.Fatalf("saved %d, settled %d of %d lines", now.saved, now.log.settled, now.log.lines)
		}
		// The file that is written now says the same as both did.
		again := merge(now.file.bytesSaved(now.log.settled), log)
		if string(again.file.bytes()) != string(now.file.bytes()) {
			t.Fatalf("read as %q, written and read again %q", now.file.bytes(), again.file.bytes())
		}
		if now.lost {
			ini = string(now.file.bytesSaved(now.log.settled))
		}
		if log == "" || strings.HasSuffix(log, "\n") {
			log += logLines([]change{{section: "s", key: "k", value: "new"}})
			if value, ok := merge([]byte(ini), log).file.get("s", "k"); !ok || value != "new" {
				t.Fatalf("saved new, got %q %v", value, ok)
			}
		}
	})
}

func TestStoreGivesItsFilesTheOwnerOfTheDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can save into another user's directory")
	}
	g := NewWithT(t)
	store := &Store{Dir: t.TempDir(), Owner: "x"}
	g.Expect(os.Chown(store.Dir, 12345, 54321)).To(Succeed())
	g.Expect(store.Save(t.Context(), "s", map[string]string{"k": "v"})).To(Succeed())
	for _, name := range []string{storeFile, ".grenade_db.log"} {
		info, err := os.Stat(filepath.Join(store.Dir, name))
		g.Expect(err).NotTo(HaveOccurred())
		stat, ok := info.Sys().(*syscall.Stat_t)
		g.Expect(ok).To(BeTrue())
		g.Expect([]uint32{stat.Uid, stat.Gid}).To(Equal([]uint32{12345, 54321}), name)
		g.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)), name)
	}
}

func FuzzStoreRoundTrip(f *testing.F) {
	for _, value := range awkward() {
		f.Add("section", "key", value)
	}
	f.Add("a.b*c", "k[1", "v")
	f.Fuzz(func(t *testing.T, section, key, value string) {
		store := &Store{Dir: t.TempDir()}
		before := map[string]string{"other": "kept"}
		NewWithT(t).Expect(store.Save(t.Context(), "untouched", before)).To(Succeed())
		err := store.Save(t.Context(), section, map[string]string{key: value})
		if err != nil {
			if checkName("section", section) == nil && checkName("key", key) == nil && !strings.ContainsRune(value, 0) {
				t.Fatalf("refused [%q] %q = %q: %v", section, key, value, err)
			}
			return
		}
		got, ok, err := store.Get(section, key)
		if err != nil || !ok || got != value {
			t.Fatalf("[%q] %q: saved %q, got %q %v %v", section, key, value, got, ok, err)
		}
		if section != "untouched" {
			NewWithT(t).Expect(store.Section("untouched")).To(Equal(before))
		}
	})
}

// bashStore runs the shell side's functions on a store.
func bashStore(t *testing.T, dir, script string, args ...string) string {
	t.Helper()
	functions, err := filepath.Abs("../plugins/shell/inc/store")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	cmd := exec.CommandContext(t.Context(), "bash", append([]string{"-c", "set -euo pipefail; source " + functions + "; source " + filepath.Dir(functions) + "/autoload; " + script, "bash"}, args...)...)
	cmd.Env = append(os.Environ(), "SAVE_DIR="+dir, "GRENADE_PROJECT=shell")
	out, err := cmd.CombinedOutput()
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), string(out))
	return string(out)
}

func TestShellReadsWhatGoSaved(t *testing.T) {
	store := &Store{Dir: t.TempDir(), Owner: "go"}
	for i, value := range awkward() {
		NewWithT(t).Expect(store.Save(t.Context(), "s", map[string]string{fmt.Sprintf("k%d", i): value})).To(Succeed())
	}
	for i, value := range awkward() {
		got := bashStore(t, store.Dir, `resource_get s "$1"`, fmt.Sprintf("k%d", i))
		NewWithT(t).Expect(got).To(Equal(value+"\n"), "value %d", i)
	}
}

func TestGoReadsWhatTheShellSaved(t *testing.T) {
	store := &Store{Dir: t.TempDir()}
	for i, value := range awkward() {
		bashStore(t, store.Dir, `resource_save s "$1" "$2"`, fmt.Sprintf("k%d", i), value)
	}
	for i, value := range awkward() {
		got, ok, err := store.Get("s", fmt.Sprintf("k%d", i))
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		NewWithT(t).Expect(ok).To(BeTrue())
		NewWithT(t).Expect(got).To(Equal(value))
	}
}

// TestBothSidesWriteTheSameFile is what "byte-compatible" means.
func TestBothSidesWriteTheSameFile(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	goDir, bashDir := t.TempDir(), t.TempDir()
	store := &Store{Dir: goDir, Owner: "shell"}
	values := awkward()
	for range 120 {
		section := fmt.Sprintf("s%d", random.IntN(4))
		key := fmt.Sprintf("k%d", random.IntN(8))
		value := values[random.IntN(len(values))]
		NewWithT(t).Expect(store.Save(t.Context(), section, map[string]string{key: value})).To(Succeed())
		bashStore(t, bashDir, `resource_save "$1" "$2" "$3"`, section, key, value)
	}
	for _, name := range []string{storeFile, ".grenade_db.log"} {
		mine, err := os.ReadFile(filepath.Join(goDir, name))
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		theirs, err := os.ReadFile(filepath.Join(bashDir, name))
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		NewWithT(t).Expect(strings.Split(string(theirs), "\n")).To(Equal(strings.Split(string(mine), "\n")), name)
	}
}

func TestGoAndShellSaveAtOnceAndNothingIsLost(t *testing.T) {
	store := &Store{Dir: t.TempDir(), Owner: "go"}
	const each = 15
	var wait sync.WaitGroup
	for w := range 3 {
		wait.Go(func() {
			bashStore(t, store.Dir, fmt.Sprintf(`for i in $(seq %d); do resource_save s "bash-$1-$i" v; done`, each), fmt.Sprint(w))
		})
		wait.Go(func() {
			for i := range each {
				if err := store.Save(t.Context(), "s", map[string]string{fmt.Sprintf("go-%d-%d", w, i): "v"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	section, err := store.Section("s")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	NewWithT(t).Expect(slices.Collect(maps.Keys(section))).To(HaveLen(6 * each))
}
