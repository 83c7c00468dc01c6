package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/exec"
)

// repository makes a git checkout of a directory of testdata, with changes to its
// files: text that is replaced.
func repository(t *testing.T, name string, changes ...change) string {
	t.Helper()
	g := NewWithT(t)
	dir := filepath.Join(t.TempDir(), name)
	g.Expect(os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name)))).To(Succeed())
	for _, each := range changes {
		path := filepath.Join(dir, each.file)
		content, err := os.ReadFile(path)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(content)).To(ContainSubstring(each.old))
		text := strings.Replace(string(content), each.old, each.with, 1)
		g.Expect(os.WriteFile(path, []byte(text), 0o644)).To(Succeed())
	}
	for _, args := range [][]string{
		{"init", "--quiet"}, {"add", "--all"}, {"-c", "user.name=test", "-c", "user.email=test", "commit", "--quiet", "--message=test"},
	} {
		_, err := exec.Run(t.Context(), exec.Command{Args: append([]string{"git", "-C", dir}, args...)})
		g.Expect(err).NotTo(HaveOccurred())
	}
	return dir
}

type change struct{ file, old, with string }

// compared runs the comparison with the fakes.
func compared(t *testing.T, meant []declaration, grenade string, more ...string) (bool, string) {
	t.Helper()
	var out strings.Builder
	same, err := run(t.Context(), append([]string{
		"-grenade", grenade, "-devstack", repository(t, "fake-devstack"), "-tools", repository(t, "fake-tools"),
	}, more...), &out, meant)
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), out.String())
	return same, out.String()
}

// meantForFakes are the differences that ours has to the fake grenade.sh.
func meantForFakes() []declaration {
	return []declaration{
		{about: "environment (STACK_ROOT|SAVE_DIR|GRENADE_.*|(BASE|TARGET)_.*)", upstream: nothing, ours: something, reason: "ours says it beforehand"},
		{about: "environment LOGDIR", upstream: "ROOT/logs", ours: "ROOT/save/logs", reason: "a directory of its own"},
		{about: "environment (OLDPWD|SHLVL)", upstream: something, ours: something, reason: "bash's own"},
		{about: "environment UPGRADE_PROJECTS", upstream: something, ours: nothing, reason: "exported", plugin: anyPlugin},
		{about: "sourced function (resources|reversed|run_script)", upstream: "", ours: nothing, reason: "the fake's own"},
		{about: "sourced trap.*", upstream: something, ours: something, reason: "the fake has none"},
	}
}

func TestTheSameOnBothSides(t *testing.T) {
	g := NewWithT(t)
	same, said := compared(t, meantForFakes(), repository(t, "fake-grenade"), repository(t, "notes"), repository(t, "other"))
	g.Expect(same).To(BeTrue(), said)
	// The fake's own 8 scripts, with notes' 8 and its one step, with the one of other,
	// whose resources.sh is empty.
	g.Expect(said).To(MatchRegexp(`(?m)^notes +[0-9a-f]{10} +\d{4}-\d\d-\d\d +same +same +17 +1-6 +0 *$`))
	g.Expect(said).To(MatchRegexp(`(?m)^other +[0-9a-f]{10} +\d{4}-\d\d-\d\d +same +same +9 +1-6 +0 *$`))
}

func TestTogetherAndAsMarkdown(t *testing.T) {
	g := NewWithT(t)
	same, said := compared(t, meantForFakes(), repository(t, "fake-grenade"), "-together", "-markdown", repository(t, "notes"), repository(t, "other"))
	g.Expect(same).To(BeTrue(), said)
	g.Expect(said).To(ContainSubstring("| 2 together | – | – | same | same | 18 | 1-6 | 0 | – |\n"))
}

// All at once, because every run costs seconds.
func TestWhatDiffersIsToldWithBothSides(t *testing.T) {
	g := NewWithT(t)
	same, said := compared(t, meantForFakes(), repository(t, "fake-grenade",
		change{"functions", `[[ $1 != destroy ]] || projects=`, ": ||"},
		change{"grenade.sh", "resources create", "resources create now"},
		change{"grenade.sh", "resources verify_noapi pre-upgrade\n", ""},
		change{"grenade.sh", `cd "$BASE_DEVSTACK_DIR"`, "export MORE=$'a\\nb'"},
		change{"grenade.sh", "exec 3>&1 6>&1", "exec 3>&1"},
		change{"functions", `run_script "$BASE_DEVSTACK_DIR" "${PLUGIN_DIR[$project]}/resources`, `run_script "$TARGET_DEVSTACK_DIR" "${PLUGIN_DIR[$project]}/resources`},
		change{"functions", `+=" $*"`, `+=" $1"`},
		change{"functions", `UPGRADE_PROJECTS+=" $1"`, `UPGRADE_PROJECTS+=" $1"; PLUGIN_DIR[x]=/x`},
		change{"functions", `'# added by %s\n%s\n'`, `'# added by %s\n%s \n'`},
		change{"functions", "from-${3#stable/}", "within-${3#stable/}"},
		change{"grenaderc", "ENABLE_TEMPEST=True", "ENABLE_TEMPEST=False\nSERVICE_TIMEOUT=7\nset -o nounset"},
		change{"functions", "function reversed", "function counted_upon { :; }\nfunction reversed"},
	), repository(t, "notes"))
	g.Expect(same).To(BeFalse())
	for _, want := range []string{
		"notes: scripts differs\n  - save/grenade/projects/10_keystone/resources.sh destroy\n  + (nothing)\n",
		"  - save/grenade/projects/10_keystone/resources.sh create now\n",
		"  - (nothing)\n  + plugins/notes/devstack/upgrade/resources.sh verify_noapi pre-upgrade\n  + save/grenade/projects/10_keystone/resources.sh verify_noapi pre-upgrade\n",
		"environment MORE differs in ", "\n  - a\n  - b\n  + (nothing)\n",
		"directory differs in ", "\n  - ROOT/save/grenade\n  + ROOT/old/devstack\n",
		"open files differs in ", "\n  - 3\n  + 3 6\n",
		"environment TOP_DIR differs in ", "\n  - ROOT/new/devstack\n  + ROOT/old/devstack\n",
		"databases differs\n  - keystone notes\n  + keystone notes notes_cell\n",
		"environment DATABASES_TO_SAVE differs in ",
		"plugin directory of x differs\n  - /x\n  + (nothing)\n",
		"local.conf base differs\n  - enable_service notes-api \n  + enable_service notes-api\n",
		"sourced function counted_upon differs\n  - \n  + (nothing)\n",
		"sourced variable SERVICE_TIMEOUT differs\n  - 7\n  + 120\n",
		"sourced option set -o nounset differs\n  - \n  + (nothing)\n",
		"variable ENABLE_TEMPEST differs\n  - False\n  + True\n",
		"scripts differs\n  - (nothing)\n  + plugins/notes/devstack/upgrade/from-2025.1/upgrade-notes configure_notes_upgrade\n",
	} {
		g.Expect(said).To(ContainSubstring(want))
	}
	g.Expect(said).To(MatchRegexp(`(?m)^notes .* DIFFERS +DIFFERS +`))
}

func TestOurOwnSettingsOfUpstreamsProjects(t *testing.T) {
	g := NewWithT(t)
	same, said := compared(t, meantForFakes()[:6], repository(t, "fake-grenade", change{"projects/10_keystone/settings", "save keystone", "save keystone other"}), "-our-settings")
	g.Expect(same).To(BeFalse())
	g.Expect(said).To(ContainSubstring("databases differs\n  - keystone other\n  + keystone\n"))
}

func TestAnEndBeforeItsTimeIsADifference(t *testing.T) {
	g := NewWithT(t)
	same, said := compared(t, meantForFakes(), repository(t, "fake-grenade", change{"grenade.sh", "resources destroy\n", "echo no more >&2; exit 3\n"}))
	g.Expect(same).To(BeFalse())
	g.Expect(said).To(ContainSubstring("failure differs\n  - grenade.sh: ./grenade.sh: exit code 3; last line: \"no more\""))
	g.Expect(said).To(MatchRegexp(`(?m)^upstream's own .* upstream$`))
}

func TestADeclarationThatExplainsNothingIsAnError(t *testing.T) {
	g := NewWithT(t)
	meant := append(meantForFakes(),
		declaration{about: "umask", upstream: "0077", ours: "0022", reason: "was so once"},
		declaration{about: "projects", upstream: "a", ours: "b", plugin: "notes", reason: "another plugin's"},
		declaration{about: "projects", upstream: "a", ours: "b", plugin: "other", reason: "this one's"},
		declaration{about: "projects", upstream: "a", ours: "b", base: "stable/zed", reason: "another release's"})
	same, said := compared(t, meant, repository(t, "fake-grenade"), repository(t, "other"))
	g.Expect(same).To(BeFalse())
	g.Expect(said).To(ContainSubstring("declared, and not found: umask: was so once\ndeclared, and not found: projects (other): this one's\n"))
	g.Expect(said).NotTo(ContainSubstring("another"))
}

func TestDeclarationsAreSentencesWithAReason(t *testing.T) {
	for _, each := range declared() {
		g := NewWithT(t)
		g.Expect(each.reason).NotTo(BeEmpty(), each.about)
		g.Expect(each.upstream).NotTo(Equal(each.ours), each.about)
	}
}

func TestUsage(t *testing.T) {
	for message, args := range map[string][]string{
		"which checkout is -": {"-grenade", "/x"},
		"flag provided but":   {"-nonsense"},
	} {
		_, err := run(t.Context(), args, &strings.Builder{}, nil)
		var usage *usageError
		NewWithT(t).Expect(errors.As(err, &usage)).To(BeTrue())
		NewWithT(t).Expect(err).To(MatchError(ContainSubstring(message)))
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	_, err := run(t.Context(), []string{"-grenade", nowhere, "-devstack", nowhere, "-tools", nowhere}, &strings.Builder{}, nil)
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("copy the checkout " + nowhere)))
}

func TestACheckoutMayBeSomebodyElses(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a checkout to somebody else")
	}
	g := NewWithT(t)
	dir := repository(t, "fake-tools")
	g.Expect(filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, 65534, 65534))
	})).To(Succeed())
	s := &site{dir: t.TempDir()}
	copied, err := s.clone(t.Context(), dir, filepath.Join(s.dir, "copy"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(copied.commit).To(HaveLen(10))
}

func TestDsconfMustBeThere(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := run(t.Context(), []string{"-grenade", "/x", "-devstack", "/x"}, &strings.Builder{}, nil)
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("with -tools where a checkout")))
}

func TestDiffFindsTheSmallestPlaces(t *testing.T) {
	g := NewWithT(t)
	g.Expect(diff([]string{"a", "b", "c"}, []string{"a", "b", "c"})).To(BeEmpty())
	g.Expect(diff([]string{"a", "b", "c", "e"}, []string{"x", "a", "c", "d"})).To(Equal([]hunk{
		{right: []string{"x"}}, {left: []string{"b"}}, {left: []string{"e"}, right: []string{"d"}},
	}))
	g.Expect(diff(nil, []string{"a"})).To(Equal([]hunk{{right: []string{"a"}}}))
}

func TestRanges(t *testing.T) {
	g := NewWithT(t)
	g.Expect(ranges(nil)).To(Equal(""))
	g.Expect(ranges([]int{0, 1, 2, 4, 6, 7})).To(Equal("1-3, 5, 7-8"))
}
