package phases

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/report"
	"grenade/framework/tree"
	"grenade/resources"
)

// foreignCloud is a fake of a cloud that is seen from outside, whose operator's
// commands are shell text, by the names of the scripts that they replace.
type foreignCloud struct {
	localCloud
	scripts map[string]string
	// version is asked of a file, so that a command can change it.
	version string
	url     string
}

func (c foreignCloud) Script(_, name string) (tree.Script, error) {
	if text, there := c.scripts[name]; there {
		return tree.Script{Commands: [][]string{{"sh", "-ec", text}}}, nil
	}
	return tree.Script{Missing: "there is no " + name}, nil
}

func (c foreignCloud) Version(context.Context, string) (string, error) {
	text, err := os.ReadFile(c.version)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}

func (c foreignCloud) Service(project string, _ config.Side) (tree.Service, bool) {
	return tree.Service{Name: project, URL: c.url, Unproved: "outside"}, project != "gone"
}

// outside is a run of project a on such a cloud.
func outside(t *testing.T, scripts map[string]string) (*Run, *foreignCloud) {
	t.Helper()
	run := ordered(t, "a")
	cloud := foreignCloud{localCloud: localCloud{root: run.Config.StackRoot}, scripts: scripts, version: run.Config.StackRoot + "/version"}
	NewWithT(t).Expect(os.WriteFile(cloud.version, []byte("1.0"), 0o600)).To(Succeed())
	run.use(nil, &cloud)
	run.settings = run.ownSettings()
	return run, &cloud
}

func TestAnUpgradeFromOutsideIsProvedByItsVersion(t *testing.T) {
	for name, test := range map[string]struct {
		command   string
		unversion bool
		outcome   report.Outcome
	}{
		"a new version":                        {`printf 2.0 >"$VERSION"`, false, report.Passed},
		"a command that does nothing":          {"true", false, report.Failed},
		"a command that fails":                 {"exit 3", false, report.Failed},
		"nobody tells the version":             {"true", true, report.NotChecked},
		"no command":                           {"", false, report.NotChecked},
		"no command, but the version is new":   {"-", false, report.Passed},
		"a command that fails, in its version": {`printf 2.0 >"$VERSION"; exit 1`, false, report.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			g, ctx := NewWithT(t), t.Context()
			scripts := map[string]string{}
			if test.command != "" && test.command != "-" {
				scripts["upgrade.sh"] = test.command
			}
			run, cloud := outside(t, scripts)
			t.Setenv("VERSION", cloud.version)
			if test.unversion {
				g.Expect(os.Remove(cloud.version)).To(Succeed())
			}
			g.Expect(run.recordVersions(ctx)).To(Succeed())
			if test.command == "-" {
				g.Expect(os.WriteFile(cloud.version, []byte("2.0"), 0o600)).To(Succeed())
			}
			row := Row{Phase: phaseOf(t, UpgradePhase), Project: "a"}
			settled := run.settle(ctx, row)
			g.Expect(settled.Outcome).To(Equal(test.outcome), "%+v", settled)
		})
	}
}

func TestAStopFromOutsideMustSilenceTheAPI(t *testing.T) {
	for name, test := range map[string]struct {
		status  int
		outcome report.Outcome
	}{
		"a proxy that misses it": {http.StatusServiceUnavailable, report.Passed},
		"it answers":             {http.StatusUnauthorized, report.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			g, ctx := NewWithT(t), t.Context()
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(test.status) }))
			t.Cleanup(api.Close)
			run, cloud := outside(t, map[string]string{"shutdown.sh": "echo stopped"})
			cloud.url = api.URL
			run.Config.ServiceTimeout = time.Second
			settled := run.settle(ctx, Row{Phase: phaseOf(t, Shutdown), Project: "a"})
			g.Expect(settled.Outcome).To(Equal(test.outcome), "%+v", settled)
		})
	}
}

func TestWhatACloudOfSomebodyElsesHasNotIsNoneOfTheRuns(t *testing.T) {
	g := NewWithT(t)
	run := ordered(t, "a", "gone")
	run.use(nil, &foreignCloud{localCloud: localCloud{root: run.Config.StackRoot}})
	settings := run.ownSettings()
	g.Expect(settings.Order).To(Equal([]string{"a"}))
	g.Expect(settings.Dropped).To(HaveKey("gone"))
}

func TestVersionsOfOtherProjectsMustStay(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	run := ordered(t, "a", "b")
	cloud := &foreignCloud{localCloud: localCloud{root: run.Config.StackRoot}, version: run.Config.StackRoot + "/version"}
	g.Expect(os.WriteFile(cloud.version, []byte("1.0"), 0o600)).To(Succeed())
	run.use(nil, cloud)
	run.settings = run.ownSettings()
	run.settings.Order = []string{"a", "b"}
	run.Selection.Projects = []string{"a"}
	g.Expect(run.recordVersions(ctx)).To(Succeed())
	g.Expect(run.proveVersionsUntouched(ctx)).To(Succeed())
	g.Expect(os.WriteFile(cloud.version, []byte("2.0"), 0o600)).To(Succeed())
	g.Expect(run.proveVersionsUntouched(ctx)).To(MatchError(ContainSubstring("not part of this upgrade were touched")))
	run.Selection.Projects = []string{"a", "b"}
	var nothing *resources.NotChecked
	g.Expect(errors.As(run.proveVersionsUntouched(ctx), &nothing)).To(BeTrue())
}

func phaseOf(t *testing.T, id string) *Phase {
	t.Helper()
	phase, known := PhaseByID(id)
	NewWithT(t).Expect(known).To(BeTrue())
	return phase
}

func TestAnAPIMustAnswerWithinTheServiceTimeout(t *testing.T) {
	g := NewWithT(t)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(api.Close)
	run, cloud := outside(t, nil)
	cloud.url, run.Config.ServiceTimeout = api.URL, 10*time.Millisecond
	settled := run.settle(t.Context(), Row{Phase: phaseOf(t, VerifyBase), Project: "a"})
	g.Expect(settled.Outcome).To(Equal(report.Failed))
	g.Expect(settled.Failure.Message).To(And(ContainSubstring("status 503"), ContainSubstring("SERVICE_TIMEOUT")))
}
