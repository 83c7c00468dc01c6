package debstack

import (
	osexec "os/exec"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestComposeLocalConf(t *testing.T) {
	for name, test := range map[string]struct {
		settings []Setting
		added    []LocalrcLine
		want     string
	}{
		"settings in their order": {
			settings: []Setting{{"DEST", "/opt/stack/old"}, {"ADMIN_PASSWORD", "abc"}},
			want:     "[[local|localrc]]\nDEST=/opt/stack/old\nADMIN_PASSWORD=abc\n",
		},
		"values are quoted": {
			settings: []Setting{{"A", "two words"}, {"B", ""}, {"C", "it's $HOME"}},
			want:     "[[local|localrc]]\nA='two words'\nB=''\nC='it'\\''s $HOME'\n",
		},
		"added lines below a comment": {
			settings: []Setting{{"A", "1"}},
			added:    []LocalrcLine{{SettingsFile: "/p/heat/settings", Text: "enable_service h-eng"}, {SettingsFile: "/p/nova/settings", Text: "B=$A\n# odd\nC=3\n"}},
			want:     "[[local|localrc]]\nA=1\n# from /p/heat/settings\nenable_service h-eng\n# from /p/nova/settings\nB=$A\n# odd\nC=3\n",
		},
		"a text with a section of its own": {
			added: []LocalrcLine{
				{SettingsFile: "/p/heat/settings", Text: "A=1\n[[test-config|$TEMPEST_CONFIG]]\n[heat]\nx = 1"},
				{SettingsFile: "/p/nova/settings", Text: "B=2"},
			},
			want: "[[local|localrc]]\n# from /p/heat/settings\nA=1\n# from /p/nova/settings\nB=2\n" +
				"\n[[test-config|$TEMPEST_CONFIG]]\n# from /p/heat/settings\n[heat]\nx = 1\n",
		},
		"a text that is a section": {
			added: []LocalrcLine{{SettingsFile: "/p/heat/settings", Text: "[[post-config|$NOVA_CONF]]\n[DEFAULT]\nx = 1\n"}, {SettingsFile: "/p/heat/settings", Text: "B=2"}},
			want:  "[[local|localrc]]\n# from /p/heat/settings\nB=2\n\n[[post-config|$NOVA_CONF]]\n# from /p/heat/settings\n[DEFAULT]\nx = 1\n",
		},
		"a text that comes back to localrc": {
			added: []LocalrcLine{{SettingsFile: "/p/s", Text: "[[post-config|$NOVA_CONF]]\nx = 1\n[[local|localrc]]\nB=2"}},
			want:  "[[local|localrc]]\n# from /p/s\nB=2\n\n[[post-config|$NOVA_CONF]]\n# from /p/s\nx = 1\n",
		},
		"a test in shell is no section": {
			added: []LocalrcLine{{SettingsFile: "/p/s", Text: "[[ -n $A || -n $B ]] && C=1\n[[ $A ]]"}},
			want:  "[[local|localrc]]\n# from /p/s\n[[ -n $A || -n $B ]] && C=1\n[[ $A ]]\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(ComposeLocalConf(test.settings, test.added)).To(Equal(test.want))
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
