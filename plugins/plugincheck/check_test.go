package plugincheck

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	. "github.com/onsi/gomega"
	"github.com/rogpeppe/go-internal/txtar"
)

// tree is the smallest that scripts can source.
func tree() fstest.MapFS {
	return fstest.MapFS{
		"functions":         {Data: []byte("source $FUNC_DIR/functions-common\nfunction die { exit 1; }\n")},
		"functions-common":  {Data: []byte("for f in values; do source $FUNC_DIR/inc/$f; done\nstop_process() { :; }\nrun_process() { :; }\n")},
		"inc/values":        {Data: []byte("function iniset { :; }\n")},
		"lib/stack":         {Data: []byte("function stack_install_service { :; }\n")},
		"lib/nova":          {Data: []byte("function stop_nova { :; }\n")},
		"stackrc":           {Data: []byte("source $RC_DIR/functions\nDEST=/opt/stack\n")},
		"openrc":            {Data: []byte("source $RC_DIR/stackrc\n")},
		"unrelated/ignored": {Data: []byte("function stop_somehow { :; }\n")},
	}
}

// unpack writes an archive's files; scripts can be executed, but for those whose
// name in the archive ends in (0644).
func unpack(t *testing.T, archive *txtar.Archive) (root string) {
	t.Helper()
	g := NewWithT(t)
	root = t.TempDir()
	for _, file := range archive.Files {
		name, plain := strings.CutSuffix(file.Name, " (0644)")
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") && !plain {
			mode = 0o755
		}
		path := filepath.Join(root, name)
		g.Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(path, file.Data, mode)).To(Succeed())
	}
	return root
}

// marked are the places in an archive's files that a comment "# want RULE..." marks,
// each as file:line: rule.
func marked(archive *txtar.Archive) (places []string) {
	mark := regexp.MustCompile(`# want ([a-z -]+)$`)
	for _, file := range archive.Files {
		for i, line := range strings.Split(string(file.Data), "\n") {
			if match := mark.FindStringSubmatch(line); match != nil {
				for _, rule := range strings.Fields(match[1]) {
					places = append(places, fmt.Sprintf("%s:%d: %s", strings.TrimSuffix(file.Name, " (0644)"), i+1, rule))
				}
			}
		}
	}
	return places
}

// Each archive holds checkouts. Comments mark what must be found, the comment of the
// archive lists whole findings, in part or in full, and names the rules that are meant
// if not all are.
func TestFindings(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	shown := map[string]bool{}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			g := NewWithT(t)
			archive, err := txtar.ParseFile(path)
			g.Expect(err).NotTo(HaveOccurred())
			var rules, said []string
			for line := range strings.Lines(string(archive.Comment)) {
				line = strings.TrimSpace(line)
				if only, ok := strings.CutPrefix(line, "only: "); ok {
					rules = strings.Fields(only)
				} else if finding, ok := strings.CutPrefix(line, "finding: "); ok {
					said = append(said, finding)
				}
			}
			root := unpack(t, archive)
			report := check(t, root)
			want := marked(archive)
			var places, lines []string
			for _, finding := range report.Findings {
				if len(rules) > 0 && !slices.Contains(rules, finding.Rule) {
					continue
				}
				shown[finding.Rule] = true
				lines = append(lines, strings.ReplaceAll(finding.String(), root+"/", ""))
				places = append(places, strings.ReplaceAll(finding.Place(), root+"/", "")+": "+finding.Rule)
			}
			for _, finding := range said {
				at := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, finding) })
				g.Expect(at).To(BeNumerically(">=", 0), "no finding %q in:\n%s", finding, strings.Join(lines, "\n"))
				if place := places[at]; !slices.Contains(want, place) {
					want = append(want, place)
				}
			}
			g.Expect(places).To(ConsistOf(want), strings.Join(lines, "\n"))
		})
	}
	for _, rule := range Rules() {
		NewWithT(t).Expect(shown).To(HaveKey(rule.Name), "a rule that no archive shows")
	}
}

func check(t *testing.T, root string) *Report {
	t.Helper()
	g := NewWithT(t)
	entries, err := os.ReadDir(root)
	g.Expect(err).NotTo(HaveOccurred())
	var dirs []string
	for _, entry := range entries {
		found, err := Locate(filepath.Join(root, entry.Name()))
		g.Expect(err).NotTo(HaveOccurred())
		dirs = append(dirs, found...)
	}
	report, err := Check(t.Context(), Input{Dirs: dirs, Tree: tree(), Reserved: []string{"verify"}})
	g.Expect(err).NotTo(HaveOccurred())
	return report
}

func TestEveryRuleSaysWhyAndWhatToDo(t *testing.T) {
	g := NewWithT(t)
	for _, rule := range Rules() {
		g.Expect(rule.Why).NotTo(BeEmpty(), rule.Name)
		g.Expect(rule.Do).NotTo(BeEmpty(), rule.Name)
		found, known := RuleByName(rule.Name)
		g.Expect(known).To(BeTrue())
		g.Expect(found).To(Equal(rule), "two rules of one name")
	}
	_, known := RuleByName("no-such-rule")
	g.Expect(known).To(BeFalse())
}

func TestATreeWithoutFunctionsIsRefused(t *testing.T) {
	g := NewWithT(t)
	_, err := Check(t.Context(), Input{Tree: fstest.MapFS{"README": {Data: []byte("text")}}})
	g.Expect(err).To(MatchError(ContainSubstring("the tree is no DevStack-shaped directory")))
}

func TestCheckEndsWithItsContext(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(dir, "settings"), nil, 0o644)).To(Succeed())
	ctx := endedContext(t)
	_, err := Check(ctx, Input{Dirs: []string{dir}, Tree: tree()})
	g.Expect(err).To(MatchError(ContainSubstring("context canceled")))
}
