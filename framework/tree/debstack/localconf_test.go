package debstack

import (
	osexec "os/exec"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/tree"
)

func TestComposeLocalConf(t *testing.T) {
	user := []config.File{{Path: "/c/devstack.local.conf", Text: "[[local|localrc]]\nA=mine\nexport ADMIN_PASSWORD=mine\nENABLED_SERVICES+=,x\n[[post-config|$X]]\n[a]\nx=1\n"}}
	for name, test := range map[string]struct {
		settings  []Setting
		user      []config.File
		added     []tree.LocalrcLine
		want      string
		overruled []string
	}{
		"settings in their order": {
			settings: []Setting{{"DEST", "/opt/stack/old"}, {"ADMIN_PASSWORD", "abc"}},
			want:     "[[local|localrc]]\nDEST=/opt/stack/old\nADMIN_PASSWORD=abc\n",
		},
		"values are quoted": {
			settings: []Setting{{"A", "two words"}, {"B", ""}, {"C", "it's $HOME"}, {"D", "two\nlines"}},
			want:     "[[local|localrc]]\nA='two words'\nB=''\nC='it'\\''s $HOME'\nD='two\nlines'\n",
		},
		"added lines below a comment": {
			settings: []Setting{{"A", "1"}},
			added:    []tree.LocalrcLine{{SettingsFile: "/p/heat/settings", Text: "enable_service h-eng"}, {SettingsFile: "/p/nova/settings", Text: "B=$A\n# odd\nC=3\n"}},
			want:     "[[local|localrc]]\nA=1\n# added by /p/heat/settings\nenable_service h-eng\n# added by /p/nova/settings\nB=$A\n# odd\nC=3\n",
		},
		"the user's file": {
			settings: []Setting{{"B", "1"}}, user: user,
			want: "[[local|localrc]]\nB=1\nA=mine\nexport ADMIN_PASSWORD=mine\nENABLED_SERVICES+=,x\n[[post-config|$X]]\n[a]\nx = 1\n",
		},
		"what is the harness's stands": {
			settings: []Setting{{"ADMIN_PASSWORD", "abc"}, {"DEST", "/opt/stack/old"}, {"ENABLED_SERVICES", "key"}}, user: user,
			added: []tree.LocalrcLine{{SettingsFile: "/p/s", Line: 4, Text: "B=1\nDEST=/x\nENABLED_SERVICES=none"}},
			want: "[[local|localrc]]\nADMIN_PASSWORD=abc\nDEST=/opt/stack/old\nENABLED_SERVICES=key\nA=mine\nexport ADMIN_PASSWORD=mine\nENABLED_SERVICES+=,x\n" +
				"# added by /p/s\nB=1\nDEST=/x\nENABLED_SERVICES=none\n# The harness's.\nADMIN_PASSWORD=abc\n# The harness's.\nDEST=/opt/stack/old\n" +
				"[[post-config|$X]]\n[a]\nx = 1\n",
			overruled: []string{
				"/c/devstack.local.conf sets ADMIN_PASSWORD, which is the harness's to set: its own value stands",
				"/p/s:4 sets DEST, which is the harness's to set: its own value stands",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			text, overruled, err := composeLocalConf(test.settings, test.user, test.added)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(text).To(Equal(test.want))
			g.Expect(overruled).To(Equal(test.overruled))
		})
	}
}

// Whatever a value holds, the shell that sources the localrc gets it back.
func TestShellQuoteSurvivesAShell(t *testing.T) {
	g := NewWithT(t)
	for _, value := range []string{"", "plain-1.2/x:y", "two words", "it's", "$(false) `x` \\ \" !", "line\nline", "*", "~", "a=b"} {
		out, err := osexec.CommandContext(t.Context(), "bash", "-c", "set -eu; A="+shellQuote(value)+"; printf %s \"$A\"").Output()
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(out)).To(Equal(value))
	}
	g.Expect(strings.Contains(shellQuote("plain-1.2/x:y"), "'")).To(BeFalse())
}
