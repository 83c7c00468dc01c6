package plugins

import (
	"fmt"
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// Scripts are given a pluginrc of a few assignments. They see all that they would of
// one that calls enable_grenade_plugin for each plugin and then says where it is.
func TestScriptsSeeWhatEnableGrenadePluginWouldLeave(t *testing.T) {
	for name, settings := range map[string]string{
		"nothing before it":            "",
		"options of a careful script":  "set -o errexit -o nounset -o pipefail -o noglob\n",
		"patterns that match or fail":  "shopt -s nullglob failglob extglob nocasematch\ncd /\n",
		"in a function":                "function inside { source $GRENADE_DIR/functions; }\n",
		"more than is enabled":         "declare -A GITREPO=([heat]=before [mine]=1) GITDIR=([heat]=before) GITBRANCH=([x]=2)\nexport GRENADE_PLUGINS=,mine\n",
		"a localrc's plugin directory": "PLUGIN_DIR=/zuul/src\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t)
			c := enabled(t, w.root, "MINE='of the user'\nenable_grenade_plugin heat https://git.example/heat\nenable_grenade_plugin a.b-c+d_1 file:///it\\'s/\\$HOME refs/changes/1/2/3\n"+
				"enable_grenade_plugin 08 /srv/*/x stable/zed\nenable_grenade_plugin Heat ssh://git@h/[a-z] master\n")
			g.Expect(c.Plugins).To(HaveLen(4))
			calls := "MINE='of the user'\n"
			for _, plugin := range c.Plugins {
				calls += fmt.Sprintf("enable_grenade_plugin %s %s %s\nGITDIR[%s]=%s\n", plugin.Name, asWord(plugin.URL), asWord(plugin.Branch), plugin.Name, asWord(plugin.Dir))
			}
			see := func(pluginrc string) string {
				g.Expect(os.WriteFile(w.grenade+"/pluginrc", []byte(pluginrc), 0o644)).To(Succeed())
				script := w.write(t, w.root+"/see.sh", settings+`source $GRENADE_DIR/grenaderc
if declare -F inside >/dev/null; then inside; else source $GRENADE_DIR/functions; fi
declare -p GITREPO GITDIR GITBRANCH GRENADE_PLUGINS PLUGIN_DIR MINE
printf '%s\n' "${!GITREPO[@]}" "${GITREPO[@]}" "${!GITDIR[@]}" "${GITDIR[@]}" "${!GITBRANCH[@]}" "${GITBRANCH[@]}"
env | sort
compgen -A function
# Whether bash lists this one depends on which functions have been called.
compgen -A variable | grep -vx FUNCNAME
shopt -po || :
shopt -p || :
trap -p
`, 0o755)
				command, err := ScriptCommand(ScriptInput{Path: script, Environ: w.environ()})
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(os.RemoveAll(w.root + "/said.log")).To(Succeed())
				return w.said(t, command)
			}
			seen := see(c.PluginrcForScripts())
			g.Expect(seen).To(ContainSubstring(`[heat]="https://git.example/heat"`))
			g.Expect(seen).To(MatchRegexp(`(?m)^declare -[-x]+ GRENADE_PLUGINS=".*,heat,a\.b-c\+d_1,08,Heat"$`))
			g.Expect(lines(seen)).To(Equal(lines(see(calls))))
		})
	}
}

// asWord is a word of bash that is the text.
func asWord(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
