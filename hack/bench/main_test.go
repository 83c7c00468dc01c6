package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

const debstack = "../../framework/tree/debstack/tree"

func TestRunsOfPluginsThatDoNothing(t *testing.T) {
	g := NewWithT(t)
	var out strings.Builder
	g.Expect(run(t.Context(), []string{"-sizes", "1,3", "-tree", debstack}, &out)).To(Succeed())
	g.Expect(out.String()).To(MatchRegexp(`(?m)^ +1 +8 .* - *$`), "a run has eight scripts of a plugin")
	g.Expect(out.String()).To(MatchRegexp(`(?m)^ +3 +24 `))
	g.Expect(out.String()).NotTo(ContainSubstring("upstream"))
}

// fakeUpstream writes the least of what upstream's shell consists of: the functions
// that its grenade.sh calls for plugins.
func fakeUpstream(t *testing.T, resources string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"grenaderc":              "SAVE_DIR=$STACK_ROOT/save\ndeclare -A PLUGIN_DIR GITDIR\nUPGRADE_PROJECTS=\n",
		"inc/bootstrap":          "function short_source { echo here; }\n",
		"tools/outfilter.py":     "#!/bin/sh\n[ \"$1\" = -v ] || exec >/dev/null\nexec cat\n",
		"projects/nova/settings": "echo not wanted here\nfalse\n",
		"functions": `
function enable_grenade_plugin { GRENADE_PLUGINS+=" $1" GITDIR[$1]=$STACK_ROOT/plugins/$1; }
function register_project_for_upgrade { UPGRADE_PROJECTS+=" $1" PLUGIN_DIR[$1]=$(dirname "${BASH_SOURCE[1]}"); }
function load_settings { for p in $GRENADE_DIR/projects/* $GRENADE_PLUGINS; do [[ ! -e ${GITDIR[$p]}/devstack ]] || source ${GITDIR[$p]}/devstack/upgrade/settings; done; }
function init_grenade_db { mkdir -p $SAVE_DIR && echo >$SAVE_DIR/grenade_db.ini; }
function resource_save { printf '[%s]\n%s = %s\n' "$@" >>$SAVE_DIR/grenade_db.ini; }
function resource_get { :; }
function shutdown_services { for p in $UPGRADE_PROJECTS; do ${PLUGIN_DIR[$p]}/shutdown.sh; done; }
function upgrade_service { ${PLUGIN_DIR[$1]}/upgrade.sh; }
function resources { ` + resources + `; }
source $GRENADE_DIR/pluginrc
`,
	} {
		path := filepath.Join(dir, name)
		NewWithT(t).Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
		NewWithT(t).Expect(os.WriteFile(path, []byte(text), 0o700)).To(Succeed())
	}
	return dir
}

const allResources = `for p in $UPGRADE_PROJECTS; do ${PLUGIN_DIR[$p]}/resources.sh "$@"; done`

func TestUpstreamsShellRunsTheSamePlugins(t *testing.T) {
	g := NewWithT(t)
	var out strings.Builder
	g.Expect(run(t.Context(), []string{"-sizes", "1,3", "-tree", debstack, "-grenade", fakeUpstream(t, allResources)}, &out)).To(Succeed())
	_, both, found := strings.Cut(out.String(), "upstream ms/row")
	g.Expect(found).To(BeTrue())
	g.Expect(both).To(MatchRegexp(`(?m)^ +1 +[0-9.]+ +[0-9.]+ +1/[0-9.]+ `))
	g.Expect(both).To(MatchRegexp(`(?m)^ +3 +[0-9.]+ +[0-9.]+ +1/[0-9.]+ `))
}

// What did not run costs nothing, and says nothing.
func TestUpstreamsRunThatDoesNotDoItsWorkIsNoMeasurement(t *testing.T) {
	for name, one := range map[string]struct{ resources, want string }{
		"a script fails": {"false", "1 plugins, upstream: upstream's scripts"},
		"nothing runs":   {"return 0", "of 1 plugins, 0 have saved their value"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := run(t.Context(), []string{"-sizes", "1", "-tree", debstack, "-grenade", fakeUpstream(t, one.resources)}, &out)
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring(one.want)))
		})
	}
}

func TestUpstreamsRunThatTakesTooLongIsSaid(t *testing.T) {
	g := NewWithT(t)
	var out strings.Builder
	g.Expect(run(t.Context(), []string{"-sizes", "1,2", "-tree", debstack, "-limit", "1s", "-grenade", fakeUpstream(t, "sleep 60")}, &out)).To(Succeed())
	g.Expect(out.String()).To(MatchRegexp(`(?m)^ +1 +[0-9.]+ +not made `))
	g.Expect(out.String()).To(MatchRegexp(`(?m)^ +2 +[0-9.]+ +not made `))
	g.Expect(out.String()).To(HaveSuffix("not made: upstream has 1 plugins not done after 1s.\n"))
}

func TestNumbers(t *testing.T) {
	g := NewWithT(t)
	g.Expect(numbers("1,20")).To(Equal([]int{1, 20}))
	for _, wrong := range []string{"", "0", "x", "1,,2"} {
		_, err := numbers(wrong)
		g.Expect(err).To(MatchError(ContainSubstring("is no number of plugins")), wrong)
	}
}
