package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestAssignedNames(t *testing.T) {
	for command, want := range map[string][]string{
		`A=1`:                              {"A"},
		`A=1 B="x y" C='p q'`:              {"A", "B", "C"},
		`A=$(echo B=2 | cat) C=3`:          {"A", "C"},
		`A="$(echo ") B=2")" C=3`:          {"A", "C"},
		`A=${X:-a b} B=1`:                  {"A", "B"},
		"A=`echo a b` B=1":                 {"A", "B"},
		`A=\ B=1`:                          {"A"},
		`A+=more`:                          {"A"},
		`A[3]=x`:                           {"A"},
		`A=(1 2 B=3)`:                      {"A"},
		"export A=1 \\\n B=2":              {"A", "B"},
		`export -n A=1`:                    {"A"},
		`declare -x A=1 B`:                 {"A"},
		`A=1 make B=2`:                     nil,
		`echo A=1`:                         nil,
		`[[ $A == B ]]`:                    nil,
		`for A in 1 2`:                     nil,
		`exit 3`:                           nil,
		``:                                 nil,
		`A='it'\''s here' B=1`:             {"A", "B"},
		`A="it's" B=1`:                     {"A", "B"},
		`2A=1`:                             nil,
		`A=${X:-$(date "+%F %T")} RESUME=`: {"A", "RESUME"},
	} {
		t.Run(command, func(t *testing.T) {
			NewWithT(t).Expect(assignedNames(command)).To(Equal(want))
		})
	}
}

func TestMisspelt(t *testing.T) {
	for name, want := range map[string]string{
		"KEPP": "KEEP", "KEP": "KEEP", "KEEEP": "KEEP", "Keep": "KEEP", "STACKROOT": "STACK_ROOT", "STAKC_ROOT": "STACK_ROOT",
		"GRENADE_CASHE_DIR": "GRENADE_CACHE_DIR", "TARGET_RUN_SMOK": "TARGET_RUN_SMOKE", "BASE_DEVSTACK_BRANCHES": "BASE_DEVSTACK_BRANCH",
		// honest names
		"KEEP": "", "DEEP_X": "", "KEY": "", "BASE_DIR": "", "DATA_DIR": "", "RUN_SMOKE": "", "DEVSTACK_ROOT": "", "GRENADE_DIR": "",
		"BASE_DEVSTACK_REPO": "", "BASE_RELEASE": "", "DEST": "", "LOGDIR": "", "HOME": "", "x": "", "": "",
	} {
		t.Run(name, func(t *testing.T) { NewWithT(t).Expect(misspelt(name)).To(Equal(want)) })
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "abd", 1}, {"abc", "abcd", 1}, {"kitten", "sitting", 3}} {
		t.Run(c.a+" "+c.b, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(distance(c.a, c.b)).To(Equal(c.want))
			g.Expect(distance(c.b, c.a)).To(Equal(c.want))
		})
	}
}

// A localrc that waits is stopped, and so is what it started.
func TestLocalrcThatHangs(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	rc := File{Path: filepath.Join(dir, "localrc"), Text: "KEEP=always\n(echo $BASHPID >" + dir + "/child; exec sleep 1000) &\nwait\n"}
	g.Expect(os.WriteFile(rc.Path, []byte(rc.Text), 0o600)).To(Succeed())
	ev := &evaluation{rc: rc, src: Sources{Environ: os.Environ()}, dir: t.TempDir(), limit: 500 * time.Millisecond}
	g.Expect(ev.run(t.Context())).To(Succeed())
	_, mistakes := ev.judge()
	g.Expect(mistakes).To(HaveLen(1))
	g.Expect(mistakes[0]).To(MatchError(rc.Path + ":3: did not finish within 500ms: it should only assign variables, at: wait"))

	expectGone(t, filepath.Join(dir, "child"))
}

// What a localrc leaves in the background does not outlive it, either.
func TestLocalrcLeavesNothingRunning(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	rc := File{Path: filepath.Join(dir, "localrc"), Text: "setsid sleep 1000 &\necho $! >" + dir + "/child\n"}
	g.Expect(os.WriteFile(rc.Path, []byte(rc.Text), 0o600)).To(Succeed())
	_, mistakes, err := readLocalrc(t.Context(), rc, Sources{Environ: os.Environ()})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(mistakes).To(BeEmpty())
	expectGone(t, filepath.Join(dir, "child"))
}

// expectGone reads a process id from a file and waits for its end.
func expectGone(t *testing.T, file string) {
	t.Helper()
	g := NewWithT(t)
	pid, err := os.ReadFile(file)
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() bool {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	}).Should(BeTrue(), "its child still runs")
}

// FuzzAssignedNames: whatever the text, every name found is a name, and stands
// in the text right before an assignment.
func FuzzAssignedNames(f *testing.F) {
	for _, seed := range []string{"A=1", `A="$(`, "A='", `\`, "A=${", "export A=1 B", "A=`", "A[=", "\x00A=1", "A=)}\"'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, command string) {
		for _, name := range assignedNames(command) {
			if !strings.Contains(command, name+"=") && !strings.Contains(command, name+"+=") && !strings.Contains(command, name+"[") {
				t.Errorf("%q does not assign %q", command, name)
			}
		}
	})
}

// FuzzLocalrcLines: however a localrc is spaced, commented and quoted, a value
// is found at the line that assigned it, byte for byte.
func FuzzLocalrcLines(f *testing.F) {
	f.Add("always", uint8(0), uint8(0))
	f.Add("two words", uint8(3), uint8(1))
	f.Add("it's # no comment", uint8(7), uint8(2))
	f.Add("first\nsecond\\", uint8(2), uint8(3))
	f.Add("$(touch x) `y` ${Z}", uint8(1), uint8(4))
	f.Fuzz(func(t *testing.T, value string, before, form uint8) {
		if strings.ContainsAny(value, "\x00\r") || value == "" {
			t.Skip("bash cannot hold NUL; CR LF is a mistake of its own; empty is unset")
		}
		lines := []string{"# KEEP=comment", "", "OTHER=1", ": KEEP", "function later { KEEP=later; }", "[[ -n $KEEP ]] && true", `X="KEEP=no"`}
		var text strings.Builder
		for i := range int(before % 16) {
			text.WriteString(lines[i%len(lines)] + "\n")
		}
		want := 1 + strings.Count(text.String(), "\n")
		forms := []string{"KEEP=%s\n", "export KEEP=%s OTHER=2\n", "  KEEP=%s # comment\n", "if true; then KEEP=%s; fi\n"}
		pattern := forms[int(form)%len(forms)]
		fmt.Fprintf(&text, pattern, quote(value))
		// bash numbers a word over several lines by its last line.
		want += strings.Count(quote(value), "\n")
		text.WriteString("AFTER=1\n# KEEP=end\n")

		dir := t.TempDir()
		rc := File{Path: filepath.Join(dir, "localrc"), Text: text.String()}
		if err := os.WriteFile(rc.Path, []byte(rc.Text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, mistakes, err := readLocalrc(t.Context(), rc, Sources{Environ: []string{"PATH=" + os.Getenv("PATH")}})
		if err != nil || len(mistakes) > 0 {
			t.Fatalf("%q: %v %v", rc.Text, mistakes, err)
		}
		if v := got.values["KEEP"]; v.text != value || v.line != want || v.file != rc.Path {
			t.Errorf("%q: got %q at %s:%d, want %q at line %d", rc.Text, v.text, v.file, v.line, value, want)
		}
	})
}
