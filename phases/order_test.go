package phases

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"

	"grenade/framework/checkout"
	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/framework/report"
	"grenade/framework/tree"
	"grenade/plugins"
	"grenade/resources"
)

// localCloud is a cloud whose node is this machine, and which holds nothing.
type localCloud struct {
	WithTrees
	root string
}

func (c localCloud) TreeDir(side config.Side) string {
	return filepath.Join(c.root, map[config.Side]string{config.Base: "old", config.Target: "new"}[side], "devstack")
}
func (localCloud) Requires(projects []string) ([]string, error) { return projects, nil }
func (localCloud) CollectLogs(context.Context, string) error    { return nil }
func (localCloud) Packages(context.Context, config.Side) (map[string]string, error) {
	return nil, io.EOF
}
func (localCloud) Timings() []report.Timing                         { return nil }
func (localCloud) Service(string, config.Side) (tree.Service, bool) { return tree.Service{}, false }
func (localCloud) Look(context.Context) error                       { return nil }
func (localCloud) Access() tree.Access                              { return tree.Access{} }
func (localCloud) Node() node.Node                                  { return localNode{} }

type localNode struct{ node.Node }

// HostPath is the path itself.
func (localNode) HostPath(path string) string { return path }

func (localNode) Run(ctx context.Context, command node.Command) (exec.Result, error) {
	return exec.Run(ctx, command.Command)
}

type silent struct{}

func (silent) For(string, string) *logrus.Entry {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	return logrus.NewEntry(logger)
}

// ordered is a run of plugins whose resources.sh write down when they run.
func ordered(t *testing.T, projects ...string) *Run {
	t.Helper()
	g := NewWithT(t)
	root := t.TempDir()
	settings := &config.Config{StackRoot: root, SaveDir: root + "/save", ResultsDir: root + "/results", VerifyResources: true, RunBase: true, RunTarget: true, Keep: config.KeepNever, ServiceTimeout: time.Minute}
	var found []plugins.Plugin
	for _, project := range projects {
		dir := filepath.Join(root, project)
		g.Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
		g.Expect(os.WriteFile(dir+"/resources.sh", []byte("#!/bin/bash\necho "+project+" $1 >>"+root+"/ran\n"), 0o755)).To(Succeed())
		found = append(found, plugins.Plugin{Project: project, Dir: dir})
	}
	for _, dir := range []string{"/old/devstack", "/new/devstack", "/save"} {
		g.Expect(os.MkdirAll(root+dir, 0o755)).To(Succeed())
	}
	g.Expect(plugins.Materialise(GrenadeDir(settings))).To(Succeed())
	plan := NewPlan(found)
	selection, err := plan.Select("", func([]string) bool { return true }, Dependencies{
		Requires:      func(projects []string) ([]string, error) { return projects, nil },
		UpgradesAfter: func(string) ([]string, error) { return nil, nil },
	})
	g.Expect(err).NotTo(HaveOccurred())
	run := New(Options{
		ID: "test", Config: settings, Plan: plan, Selection: selection, Trees: localCloud{root: root}, Log: silent{},
		Redact: func(text string) string { return text }, Progress: report.NewProgress(report.ProgressOptions{Out: io.Discard}), Checks: func(resources.Cloud) map[string]resources.Check { return nil }, PeakMemory: func() int64 { return 0 },
	})
	g.Expect(run.open(true)).To(Succeed())
	// Rows that were started side by side write below root until they are done, also
	// those that a test does not ask for.
	t.Cleanup(func() {
		for _, together := range run.sideBySide {
			for _, row := range run.Selection.Rows {
				together.wait(row.Project)
			}
		}
		run.written()
	})
	return run
}

func (r *Run) ran(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(r.Config.StackRoot + "/ran")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func do(t *testing.T, run *Run, phase string, projects ...string) {
	t.Helper()
	found, known := PhaseByID(phase)
	NewWithT(t).Expect(known).To(BeTrue())
	for _, project := range projects {
		settled := run.Do(t.Context(), Row{Phase: found, Project: project})
		NewWithT(t).Expect([]any{settled.Project, settled.Phase, settled.Outcome}).To(Equal([]any{project, phase, report.Passed}), "%+v", settled.Failure)
	}
}

func TestRowsThatWriteRunInTheOrderOfTheSettings(t *testing.T) {
	g := NewWithT(t)
	run := ordered(t, "a", "b", "c")
	run.settings = plugins.Settings{Order: []string{"c", "a", "b"}, VerifyResources: "True"}
	do(t, run, Create, "a", "b", "c")
	g.Expect(run.ran(t)).To(Equal([]string{"c create", "a create", "b create"}))
	do(t, run, Destroy, "c", "b", "a") // a reversed phase asks in this order
	g.Expect(run.ran(t)[3:]).To(Equal([]string{"b destroy", "a destroy", "c destroy"}))
	do(t, run, Create, "b")
	g.Expect(run.ran(t)[6:]).To(Equal([]string{"b create"}), "asked for again, a row runs again, alone")
}

func TestRowsRunInThePlansOrderUntilSettingsAreKnown(t *testing.T) {
	run := ordered(t, "a", "b")
	do(t, run, Create, "b", "a")
	NewWithT(t).Expect(run.ran(t)).To(Equal([]string{"b create", "a create"}))
}

// Ginkgo asks for no further row after an interrupt, so none may begin in the
// name of the one in progress.
func TestAnInterruptEndsWhatRunsAhead(t *testing.T) {
	g := NewWithT(t)
	run := ordered(t, "a", "b", "c")
	run.settings = plugins.Settings{Order: []string{"c", "b", "a"}, VerifyResources: "True"}
	run.Interrupt("stopped")
	phase, _ := PhaseByID(Create)
	settled := run.Do(t.Context(), Row{Phase: phase, Project: "a"})
	g.Expect(settled.Outcome).To(Equal(report.NotRun))
	g.Expect(settled.Reason).To(Equal("stopped"))
	g.Expect(run.ran(t)).To(Equal([]string{"c create"}))
}

func TestSettingsMayTurnResourcesOff(t *testing.T) {
	for value, off := range map[string]bool{"True": false, "yes": false, "1": false, "False": true, "": true, "no": true} {
		t.Run(value, func(t *testing.T) {
			run := ordered(t, "a")
			run.settings.Order, run.settings.VerifyResources = []string{"a"}, value
			phase, _ := PhaseByID(Create)
			settled := run.Do(t.Context(), Row{Phase: phase, Project: "a"})
			g := NewWithT(t)
			if !off {
				g.Expect(settled.Outcome).To(Equal(report.Passed))
				return
			}
			g.Expect(settled.Outcome).To(Equal(report.NotChecked))
			g.Expect(settled.Reason).To(Equal("a plugin's settings file turned VERIFY_RESOURCES off"))
		})
	}
}

func TestExportsOfSettingsReachEveryScriptButNotTheContract(t *testing.T) {
	g := NewWithT(t)
	run := ordered(t, "a")
	run.settings.Exports = map[string]string{
		"DEFAULT_IMAGE_NAME": "cirros", "PATH": "/plugin/bin:/usr/bin", "LANG": "de_DE.UTF-8", "SAVE_DIR": "/elsewhere", "TOP_DIR": "/elsewhere", "GRENADE_PROJECT": "b",
	}
	phase, _ := PhaseByID(Create)
	environ := run.environ(Row{Phase: phase, Project: "a"}, config.Base)
	for name, want := range map[string]string{
		"DEFAULT_IMAGE_NAME": "cirros", "PATH": "/plugin/bin:/usr/bin", "LANG": "de_DE.UTF-8",
		"SAVE_DIR": run.Config.SaveDir, "TOP_DIR": run.Config.StackRoot + "/old/devstack", "GRENADE_PROJECT": "a",
	} {
		g.Expect(environ).To(HaveKeyWithValue(name, want))
	}
}

// Upstream has made both before the first script runs, and worlddump writes into one.
func TestScriptsFindTheDirectoriesOfTheirLogs(t *testing.T) {
	g := NewWithT(t)
	run := ordered(t, "a")
	g.Expect(os.MkdirAll(filepath.Dir(run.LogFile(SetupRow, CloudProject)), 0o755)).To(Succeed())
	g.Expect(run.makeLogDirs(t.Context())).To(Succeed())
	phase, _ := PhaseByID(Create)
	g.Expect(run.environ(Row{Phase: phase, Project: "a"}, config.Base)["LOGDIR"]).To(BeADirectory())
	g.Expect(run.Config.StackRoot + "/logs/screen").To(BeADirectory())
}

func TestARunThatGoesOnSaysWhichPluginsHaveChanged(t *testing.T) {
	g := NewWithT(t)
	now := []plugins.Fetched{fetched("heat", "aaa"), fetched("same", "ccc"), fetched("new", "ddd")}
	before := []report.Plugin{fetched("heat", "bbb").Reported(), fetched("same", "ccc").Reported()}
	g.Expect(changedPlugins(before, now)).To(Equal([]string{"plugin heat was bbb when the run began, and is aaa now"}))
}

func fetched(name, commit string) plugins.Fetched {
	return plugins.Fetched{EnabledPlugin: config.EnabledPlugin{Name: name}, State: checkout.State{Commit: commit}}
}

// With a thousand plugins all of them at once would take all of a machine's memory.
func TestNotAllRowsRunAtOnce(t *testing.T) {
	g := NewWithT(t)
	var projects []string
	for i := range 2 * atOnce {
		projects = append(projects, fmt.Sprintf("p%d", i))
	}
	run := ordered(t, projects...)
	// Each waits until as many as may run do so.
	script := fmt.Sprintf("#!/bin/bash\necho began >>$STACK_ROOT/began\nuntil [[ $(wc -l <$STACK_ROOT/began) -ge %d ]]; do sleep 0.05; done\nwc -l <$STACK_ROOT/began >>$STACK_ROOT/ran\nread -r <$STACK_ROOT/gate\n", atOnce)
	gate := run.Config.StackRoot + "/gate"
	g.Expect(syscall.Mkfifo(gate, 0o600)).To(Succeed())
	for _, project := range projects {
		g.Expect(os.WriteFile(filepath.Join(run.Config.StackRoot, project, "resources.sh"), []byte(script), 0o755)).To(Succeed())
	}
	phase, _ := PhaseByID(VerifyPreUpgrade)
	done := make(chan report.Row)
	go func() { done <- run.Do(t.Context(), Row{Phase: phase, Project: "p0"}) }()
	ran := func() int {
		text, err := os.ReadFile(run.Config.StackRoot + "/ran")
		if err != nil {
			return 0
		}
		return strings.Count(string(text), "\n")
	}
	g.Eventually(ran).WithTimeout(30 * time.Second).Should(Equal(atOnce))
	began, err := os.ReadFile(run.Config.StackRoot + "/began")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(strings.Count(string(began), "\n")).To(Equal(atOnce))
	// Open for the rest of the test, so that every script finds a line.
	open, err := os.OpenFile(gate, os.O_RDWR, 0)
	g.Expect(err).NotTo(HaveOccurred())
	defer open.Close()
	_, err = open.WriteString(strings.Repeat("\n", len(projects)))
	g.Expect(err).NotTo(HaveOccurred())
	settled := <-done
	g.Expect(settled.Outcome).To(Equal(report.Passed), "%+v", settled.Failure)
	for _, project := range projects {
		g.Expect(run.Do(t.Context(), Row{Phase: phase, Project: project}).Outcome).To(Equal(report.Passed))
	}
}

func TestTheReportOfALongRunIsNotWrittenAfterEveryRow(t *testing.T) {
	for name, test := range map[string]struct {
		rows    int
		written bool
	}{"short": {fewRows, true}, "long": {fewRows + 1, false}} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			run := ordered(t, "a")
			g.Expect(os.MkdirAll(run.ResultsDir(), 0o755)).To(Succeed())
			run.Selection.Rows = slices.Repeat(run.Selection.Rows[:1], test.rows)
			run.savedAt, run.saveTook = time.Now(), time.Hour
			run.saveProgress(t.Context())
			run.written()
			_, err := os.Stat(filepath.Join(run.ResultsDir(), report.JSONFile))
			g.Expect(err == nil).To(Equal(test.written))
			// It is when the time has come.
			run.savedAt, run.saveTook = time.Now().Add(-21*time.Hour), time.Hour
			run.saveProgress(t.Context())
			run.written()
			g.Expect(filepath.Join(run.ResultsDir(), report.JSONFile)).To(BeAnExistingFile())
		})
	}
}

// What a row came to while the report was being written is in the report that comes next, and what ends the run is
// written last.
func TestTheReportSoFarIsWrittenBesideTheRows(t *testing.T) {
	g := NewWithT(t)
	run := ordered(t, "a", "b")
	g.Expect(os.MkdirAll(run.ResultsDir(), 0o755)).To(Succeed())
	file := filepath.Join(run.ResultsDir(), report.JSONFile)
	written := func() report.Report {
		text, err := os.Open(file)
		g.Expect(err).NotTo(HaveOccurred())
		defer text.Close()
		read, err := report.ReadJSON(text)
		g.Expect(err).NotTo(HaveOccurred())
		return read
	}
	run.writing <- struct{}{} // somebody writes
	run.saveProgress(t.Context())
	run.Interrupt("by the test")
	run.saveProgress(t.Context())
	g.Expect(file).NotTo(BeAnExistingFile())
	run.writeProgress()
	run.written()
	g.Expect(slices.Collect(written().Rows)[0].Reason).To(Equal("the run ended during setup"))
	g.Expect(run.unwritten).To(BeNil())

	for range 20 {
		run.saveProgress(t.Context())
		_, err := run.WriteResults(t.Context(), report.Interrupted)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(written().ExitCode).To(Equal(report.Interrupted))
	}
}

// written returns when nobody writes the report so far any more.
func (r *Run) written() {
	r.writing <- struct{}{}
	<-r.writing
}

// Ginkgo's filter once matched a row of leaks that the selection did not have, and the
// run waited for ever.
func TestARowThatIsNotSelectedIsNotWaitedFor(t *testing.T) {
	g := NewWithT(t)
	run := ordered(t, "a")
	settled := run.Do(t.Context(), Row{Phase: phaseOf(t, VerifyPreUpgrade), Project: "b"})
	g.Expect(settled.Outcome).To(Equal(report.Failed))
	g.Expect(settled.Failure.Message).To(ContainSubstring("not among the selected rows"))
}
