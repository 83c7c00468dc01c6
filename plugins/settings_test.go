package plugins

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/tree"
)

// load scans the plugins and loads all settings on this host, with the stub
// trees.
func (w *world) load(t *testing.T, external []string, env map[string]string) (*Settings, error) {
	t.Helper()
	found, err := Scan(w.grenade, "", external, nil)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return w.loadPlanned(t, found, external, env)
}

func (w *world) loadPlanned(t *testing.T, planned []Plugin, external []string, env map[string]string) (*Settings, error) {
	t.Helper()
	environ := w.environ()
	for name, value := range env {
		environ[name] = value
	}
	return LoadSettings(t.Context(), here{}, SettingsInput{
		Plugins: planned, External: external, GrenadeDir: w.grenade, SaveDir: w.save, TopDir: w.target,
		Environ: environ, Log: filepath.Join(w.root, "settings.log"), Timeout: 20 * time.Second,
	})
}

// notEnabled is who dropped the in-tree plugins that are not among the kept
// ones: they themselves, for want of a service.
func (w *world) notEnabled(t *testing.T, kept ...string) map[string]string {
	t.Helper()
	found, err := Scan(w.grenade, "", nil, nil)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	dropped := map[string]string{}
	for _, plugin := range found {
		if !slices.Contains(kept, plugin.Project) {
			dropped[plugin.Project] = fmt.Sprintf("%s:%d", plugin.SettingsFile, plugin.Line)
		}
	}
	return dropped
}

func TestSettingsOfInTreePlugins(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	settings, err := w.load(t, nil, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(settings).To(Equal(&Settings{
		Order: []string{"keystone", "placement", "glance"},
		PluginDir: map[string]string{
			"keystone": w.grenade + "/projects/10_keystone", "placement": w.grenade + "/projects/15_placement", "glance": w.grenade + "/projects/40_glance",
		},
		Databases:    map[string][]string{"keystone": {"keystone"}, "placement": {"placement"}, "glance": {"glance"}},
		Exports:      map[string]string{"DATABASES_TO_SAVE": " keystone placement glance"},
		BaseRunSmoke: "True", TargetRunSmoke: "True", VerifyResources: "True", EnableTempest: "True",
		Localrc: map[config.Side][]tree.LocalrcLine{config.Base: nil, config.Target: nil},
		Dropped: w.notEnabled(t, "keystone", "placement", "glance"),
	}))
	raw, err := json.Marshal(settings)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(raw).NotTo(BeEmpty())
}

// DevStack's stackrc makes its list unless there is one, be it empty.
func TestSettingsAskTheBaseTreeWhatIsEnabledWhenNobodySays(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	w.write(t, filepath.Join(w.base, "stackrc"), "ENABLED_SERVICES=${ENABLED_SERVICES-key,glance}\n", 0o644)
	settings, err := w.load(t, nil, map[string]string{"ENABLED_SERVICES": ""})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(settings.Order).To(Equal([]string{"keystone", "glance"}))
}

// DevStack's is_service_enabled knows nova by n-*, and cinder by its services only.
func TestSettingsFindCinderByDevStacksNames(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	settings, err := w.load(t, nil, map[string]string{"ENABLED_SERVICES": "key,c-sch,c-api,c-vol"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(settings.Order).To(Equal([]string{"keystone", "cinder"}))
}

func TestSettingsGiveTheAuthoritativeOrderAndSayWhoDroppedWhom(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	first := w.plugin(t, "first", "register_project_for_upgrade first\n\nUPGRADE_PROJECTS=\"first ${UPGRADE_PROJECTS/ first/}\"\n")
	// As a plugin in the wild does it: through sed, some lines down.
	drops := w.plugin(t, "drops", "register_project_for_upgrade drops\n:\nUPGRADE_PROJECTS=$(echo $UPGRADE_PROJECTS |\n    sed -e 's/placement//')\n")
	last := w.plugin(t, "last", "register_project_for_upgrade last\nUPGRADE_PROJECTS=${UPGRADE_PROJECTS/drops/}")

	settings, err := w.load(t, []string{first, drops, last}, map[string]string{"ENABLED_SERVICES": "key,placement-api"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(settings.Order).To(Equal([]string{"first", "keystone", "last"}))
	dropped := w.notEnabled(t, "keystone", "placement")
	dropped["placement"] = drops + "/settings:4" // where the command ends
	dropped["drops"] = last + "/settings:2"
	g.Expect(settings.Dropped).To(Equal(dropped))
}

func TestSettingsRunInOneBashInOrder(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	w.write(t, filepath.Join(w.root, "plugins/one/common_settings"), "FROM_COMMON=$SET_BY_ONE\n", 0o644)
	one := w.plugin(t, "one", `SET_BY_ONE=1
source $(dirname ${BASH_SOURCE[0]})/../../common_settings
set +e
false
`)
	two := w.plugin(t, "two", `register_project_for_upgrade two
[[ $- == *e* ]] && export SEEN="$SET_BY_ONE $FROM_COMMON $(basename $(dirname $TOP_DIR)) $(pwd)"
`)
	empty := filepath.Join(w.root, "plugins/empty/devstack/upgrade")
	settings, err := w.load(t, []string{one, empty, two}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(settings.Exports["SEEN"]).To(Equal("1 1 new " + w.target))
	g.Expect(settings.Order).To(Equal([]string{"keystone", "placement", "glance", "two"}))
}

func TestSettingsReadBack(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	dir := w.plugin(t, "p", `register_project_for_upgrade p
register_db_to_save p p_api
register_db_to_save p_cell
BASE_RUN_SMOKE=False
export TARGET_RUN_SMOKE=False
VERIFY_RESOURCES=
unset ENABLE_TEMPEST
export MULTI=$'two\nlines\n' QUOTED="it's \"so\" \$x" EMPTY=
export HOME=/changed
NOT_EXPORTED=1
function handed_down { echo "$1 down"; }
export -f handed_down
`)
	bare := w.plugin(t, "bare", "register_db_to_save nobodys\n")
	settings, err := w.load(t, []string{dir, bare}, map[string]string{"INHERITED": "same", "BASE_RUN_SMOKE": "True"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(settings.Databases).To(HaveKeyWithValue("p", []string{"p", "p_api", "p_cell"}))
	g.Expect(settings.Databases).To(HaveKeyWithValue("", []string{"nobodys"}))
	g.Expect(settings.Exports).To(Equal(map[string]string{
		"DATABASES_TO_SAVE": " keystone placement glance p p_api p_cell nobodys",
		"BASE_RUN_SMOKE":    "False", "TARGET_RUN_SMOKE": "False",
		"BASH_FUNC_handed_down%%": "() {  echo \"$1 down\"\n}",
		"MULTI":                   "two\nlines\n", "QUOTED": `it's "so" $x`, "EMPTY": "", "HOME": "/changed",
	}))
	g.Expect(settings.BaseRunSmoke).To(Equal("False"))
	g.Expect(settings.TargetRunSmoke).To(Equal("False"))
	g.Expect(settings.VerifyResources).To(BeEmpty())
	g.Expect(settings.EnableTempest).To(BeEmpty())
}

func TestLocalrcLinesAreKeptPerSideWithTheirSettingsFile(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	one := w.plugin(t, "one", `for w in base target; do
    devstack_localrc $w enable_service h-api   h-eng
done
IFS=,
devstack_localrc target 'A="x y"' B=1
`)
	two := w.plugin(t, "two", "devstack_localrc base \"X=1\n[[test-config|\\$TEMPEST_CONFIG]]\n[compute]\na = b\"\n")
	w.write(t, filepath.Join(w.save, "devstack_localrc.base"), "left by an earlier run\x00\x00\x00", 0o600)

	settings, err := w.load(t, []string{one, two}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(settings.Localrc[config.Base]).To(Equal([]tree.LocalrcLine{
		{SettingsFile: one + "/settings", Line: 2, Text: "enable_service h-api h-eng"},
		{SettingsFile: two + "/settings", Line: 1, Text: "X=1\n[[test-config|$TEMPEST_CONFIG]]\n[compute]\na = b"},
	}))
	g.Expect(settings.Localrc[config.Target]).To(Equal([]tree.LocalrcLine{
		{SettingsFile: one + "/settings", Line: 2, Text: "enable_service h-api h-eng"},
		{SettingsFile: one + "/settings", Line: 5, Text: `A="x y" B=1`},
	}))

	settings, err = w.load(t, []string{one, two}, map[string]string{"GRENADE_USE_EXTERNAL_DEVSTACK": "True"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(settings.Localrc).To(Equal(map[config.Side][]tree.LocalrcLine{config.Base: nil, config.Target: nil}))
	log, err := os.ReadFile(filepath.Join(w.root, "settings.log"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(log)).To(ContainSubstring("GRENADE_USE_EXTERNAL_DEVSTACK is set: no use for devstack_localrc base enable_service h-api h-eng"))
}

func TestSettingsThatFailAreNamedWithTheirLineAndCode(t *testing.T) {
	for name, one := range map[string]struct {
		settings string
		line     int
		message  string
	}{
		"a failing command":      {"true\n\nfalse\necho no\n", 3, "exit code 1"},
		"an unknown function":    {"true\nregister_projekt p\n", 2, "exit code 127"},
		"die in a function":      {"f() {\n  die $LINENO wrong\n}\ntrue\nf\n", 2, "exit code 1"},
		"a command of the tree":  {"true\ndevstack_localrc both x\n", 2, "exit code 1"},
		"a file that it sources": {"\nsource $STACK_ROOT/broken\n", 2, "exit code 7"},
		"exit in the middle":     {"true\nexit 9\n", 2, "exit code 9"},
		"a clean exit":           {"true\nexit 0\n", 2, "ended the shell that loads all settings (exit 0)"},
		"a bad return":           {"return 3\n", 1, "exit code 3"},
		"a hidden failure":       {"set +o xtrace\n\nfalse\n", 3, "exit code 1"},
		"one in a function":      {"f() {\n  false\n}\nset +x\n\nf\n", 2, "exit code 1"},
		"exit after a failure":   {"x=$(false) || true\nset +e\nfalse\nset -e\n\nexit 1\n", 6, "exit code 1"},
		"one in another file":    {"set +x\ntrue || false\nsource $STACK_ROOT/broken\n", 3, "exit code 7"},
		"one of a command":       {"x=$(false; echo y)\nset +x\nls /nowhere/at/all\n", 3, "exit code 2"},
		"a second registration":  {"\nregister_project_for_upgrade keystone\n", 2, "two plugins register keystone: "},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t)
			w.write(t, filepath.Join(w.root, "broken"), "true\n(exit 7)\n", 0o644)
			good := w.plugin(t, "good", "true\n")
			bad := w.plugin(t, "bad", one.settings)
			never := w.plugin(t, "never", "touch $STACK_ROOT/ran-on\n")
			inTree, err := Scan(w.grenade, "", nil, nil)
			g.Expect(err).NotTo(HaveOccurred())

			_, err = w.loadPlanned(t, inTree, []string{good, bad, never}, nil)

			g.Expect(err).To(HaveOccurred())
			mistakes := config.Mistakes(err)
			g.Expect(err.Error()).To(HavePrefix(fmt.Sprintf("%s/settings:%d: ", bad, one.line)))
			g.Expect(err.Error()).To(ContainSubstring(one.message))
			g.Expect(config.IsMistake(err)).To(BeTrue(), "%v", mistakes)
			g.Expect(filepath.Join(w.root, "ran-on")).NotTo(BeAnExistingFile())
			var failed *exec.Error
			if !strings.Contains(one.message, "exit 0") {
				g.Expect(errors.As(err, &failed)).To(BeTrue(), "the output must not get lost")
			}
		})
	}
}

func TestTwoPluginsThatComputeOneNameAreBothNamed(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	one := w.plugin(t, "one", "n=same\nregister_project_for_upgrade $n\n")
	two := w.plugin(t, "two", "n=same\nregister_project_for_upgrade $n\n")
	_, err := w.load(t, []string{one, two}, nil)
	g.Expect(err).To(MatchError(HavePrefix(two + "/settings:2: two plugins register same: " + one + " and " + two)))
	log, readErr := os.ReadFile(filepath.Join(w.root, "settings.log"))
	g.Expect(readErr).NotTo(HaveOccurred())
	g.Expect(string(log)).To(ContainSubstring("two plugins register same: " + one + " and " + two))
}

func TestAProjectWithoutAPluginIsRefused(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	dir := w.plugin(t, "p", "UPGRADE_PROJECTS+=\" ghost\"\n")
	_, err := w.load(t, []string{dir}, nil)
	g.Expect(err).To(MatchError(ContainSubstring("UPGRADE_PROJECTS names ghost, which no settings file registers")))
}

func TestSettingsThatHangAreNamed(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	dir := w.plugin(t, "p", "true\nsleep 60\n")
	in := SettingsInput{
		External: []string{dir}, GrenadeDir: w.grenade, SaveDir: w.save, TopDir: w.target, Environ: w.environ(),
		Log: filepath.Join(w.root, "settings.log"), Timeout: 6 * time.Second, // so that the others come to their end on a busy machine
	}
	_, err := LoadSettings(t.Context(), here{}, in)
	g.Expect(err).To(MatchError(HavePrefix(dir + "/settings:2: these settings did not end in time")))
}
