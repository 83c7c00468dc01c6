package localconf_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
	"grenade/framework/tree"
	"grenade/framework/tree/localconf"
)

func TestMergePutsOneFileOverAnother(t *testing.T) {
	for name, test := range map[string]struct{ ours, over, want string }{
		"localrc is added behind ours": {
			ours: "[[local|localrc]]\nA=1\n", over: "[[local|localrc]]\nif true; then\n    A=2\nfi\n",
			want: "[[local|localrc]]\nA=1\nif true; then\n    A=2\nfi\n",
		},
		"and before our other parts": {
			ours: "[[local|localrc]]\nA=1\n[[post-config|$X]]\n[DEFAULT]\nx = 1\n", over: "[[local|localrc]]\nA=2\n",
			want: "[[local|localrc]]\nA=1\nA=2\n[[post-config|$X]]\n[DEFAULT]\nx = 1\n",
		},
		"a file without a localrc gets one, first": {
			ours: "# mine\n[[post-config|$X]]\n[DEFAULT]\nx = 1\n", over: "[[local|localrc]]\nA=2\n",
			want: "# mine\n[[local|localrc]]\nA=2\n[[post-config|$X]]\n[DEFAULT]\nx = 1\n",
		},
		"an option is replaced where it stands": {
			ours: "[[post-config|$X]]\n[DEFAULT]\n# why\nx=1\ny = 2\n", over: "[[post-config|$X]]\n[DEFAULT]\nx  = two words\n",
			want: "[[post-config|$X]]\n[DEFAULT]\n# why\nx = two words\ny = 2\n",
		},
		"a new one goes to the end of its section": {
			ours: "[[post-config|$X]]\n[DEFAULT]\nx=1\n[api]\nx=1\n", over: "[[post-config|$X]]\n[DEFAULT]\nz=3\n",
			want: "[[post-config|$X]]\n[DEFAULT]\nx=1\nz = 3\n[api]\nx=1\n",
		},
		"a new section to the end of its part": {
			ours: "[[post-config|$X]]\n[DEFAULT]\nx=1\n[[post-config|$Y]]\n[api]\nx=1\n", over: "[[post-config|$X]]\n[api]\nx=2\n",
			want: "[[post-config|$X]]\n[DEFAULT]\nx=1\n[api]\nx = 2\n[[post-config|$Y]]\n[api]\nx=1\n",
		},
		"a new part to the end": {
			ours: "[[local|localrc]]\nA=1\n", over: "[[test-config|$TEMPEST_CONFIG]]\n[heat]\nx=1\n",
			want: "[[local|localrc]]\nA=1\n[[test-config|$TEMPEST_CONFIG]]\n[heat]\nx = 1\n",
		},
		"the same file of another group is another part": {
			ours: "[[post-config|$X]]\n[a]\nx = 1\n", over: "[[post-extra|$X]]\n[a]\nx=2\n",
			want: "[[post-config|$X]]\n[a]\nx = 1\n[[post-extra|$X]]\n[a]\nx = 2\n",
		},
		// Here upstream's tool puts the option below no section at all.
		"a section of the same name in another part is another section": {
			ours: "[[post-config|$Y]]\n[api]\ny = 1\n[DEFAULT]\ny = 1\n[[post-config|$X]]\n", over: "[[post-config|$X]]\n[DEFAULT]\nx=2\n",
			want: "[[post-config|$Y]]\n[api]\ny = 1\n[DEFAULT]\ny = 1\n[[post-config|$X]]\n[DEFAULT]\nx = 2\n",
		},
		// What follows, upstream's tool loses.
		"an option with several values keeps them": {
			ours: "[[post-config|$X]]\n[DEFAULT]\nf = a\nx = 1\nf = b\n", over: "[[post-config|$X]]\n[DEFAULT]\nf = c\nf = d\nf = e\n",
			want: "[[post-config|$X]]\n[DEFAULT]\nf = c\nf = d\nf = e\nx = 1\n",
		},
		"a name may hold more than letters": {
			ours: "[[post-config|$X]]\n[quota]\n", over: "[[post-config|$X]]\n[quota]\nadmin-role = x\nos_compute:a.b = rule\n",
			want: "[[post-config|$X]]\n[quota]\nadmin-role = x\nos_compute:a.b = rule\n",
		},
		"an empty value is a value": {
			ours: "[[post-config|$X]]\n[DEFAULT]\nx = 1\n", over: "[[post-config|$X]]\n[DEFAULT]\nx =\n",
			want: "[[post-config|$X]]\n[DEFAULT]\nx = \n",
		},
		"an option above all sections": {
			ours: "[[post-config|$X]]\n[DEFAULT]\nx = 1\n", over: "[[post-config|$X]]\nx = 2\n",
			want: "[[post-config|$X]]\nx = 2\n[DEFAULT]\nx = 1\n",
		},
		"a last line without a line end": {
			ours: "[[local|localrc]]\nA=1", over: "[[local|localrc]]\nB=2",
			want: "[[local|localrc]]\nA=1\nB=2\n",
		},
		"a part that comes twice counts once": {
			ours: "[[local|localrc]]\n", over: "[[local|localrc]]\nA=1\n[[post-config|$X]]\n[a]\nx = 1\n[[local|localrc]]\nB=2\n",
			want: "[[local|localrc]]\nA=1\nB=2\n[[post-config|$X]]\n[a]\nx = 1\n",
		},
		"comments, indented lines and what stands above the first heading are left out": {
			ours: "[[local|localrc]]\n", over: "# top\nA=1\n[[post-config|$X]]\n[a]\n# why\n; why\n  y = 1\nno option\n= 1\nx = 1\n",
			want: "[[local|localrc]]\n[[post-config|$X]]\n[a]\nx = 1\n",
		},
		"nothing over nothing": {},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			conf := localconf.Parse(test.ours)
			conf.Merge(localconf.Parse(test.over))
			g.Expect(conf.String()).To(Equal(test.want))
			conf.Merge(localconf.Parse(strings.ReplaceAll(test.over, "[[local|localrc]]", "[[none|none]]")))
			if !strings.Contains(test.over, "[[local") {
				g.Expect(conf.String()).To(Equal(test.want), "a second time it changes nothing")
			}
		})
	}
}

func TestAddLocalrc(t *testing.T) {
	for name, test := range map[string]struct {
		ours  string
		texts []string
		want  string
	}{
		"at the end of the localrc part": {
			ours: "[[local|localrc]]\nA=1\n\n[[post-config|$X]]\n[a]\nx = 1\n", texts: []string{"B=$A  ", "C=3\nD=4\n"},
			want: "[[local|localrc]]\nA=1\n\nB=$A\nC=3\nD=4\n[[post-config|$X]]\n[a]\nx = 1\n",
		},
		"in an empty file": {texts: []string{"A=1"}, want: "[[local|localrc]]\nA=1\n"},
		"behind the part of another": {
			ours: "[[local|localrc]]\n", texts: []string{"A=1\n[[test-config|$TEMPEST_CONFIG]]\n[heat]\nx = 1", "B=2"},
			want: "[[local|localrc]]\nA=1\nB=2\n[[test-config|$TEMPEST_CONFIG]]\n[heat]\nx = 1\n",
		},
		// Upstream's tool takes it for the end of the localrc part.
		"behind a test of the shell": {
			ours: "[[local|localrc]]\n[[ -n $A ]] && B=1\nC=$B\n", texts: []string{"D=$C"},
			want: "[[local|localrc]]\n[[ -n $A ]] && B=1\nC=$B\nD=$C\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			conf := localconf.Parse(test.ours)
			for _, text := range test.texts {
				conf.AddLocalrc(text)
			}
			NewWithT(t).Expect(conf.String()).To(Equal(test.want))
		})
	}
}

func TestComposeTakesTheInputsInUpstreamsOrder(t *testing.T) {
	g := NewWithT(t)
	composed, err := localconf.Compose(localconf.Input{
		Defaults: localconf.FromLocalrc("A=defaults\n"),
		Original: localconf.Parse("[[local|localrc]]\nA=tree\n[[post-config|$X]]\n[a]\nx = tree\ny = tree\n"),
		User:     []config.File{{Path: "/c/devstack.local.conf", Text: "[[local|localrc]]\nA=user\n[[post-config|$X]]\n[a]\nx = user\n"}},
		Added: []tree.LocalrcLine{
			{SettingsFile: "/p/heat/settings", Line: 3, Text: "enable_service h-eng"},
			{SettingsFile: "/p/x/settings", Line: 1, Text: "A=plugin\n[[test-config|$TEMPEST_CONFIG]]\n[x]\nz = 1"},
			{SettingsFile: "/p/heat/settings", Line: 4, Text: "B=$A"},
		},
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(composed.String()).To(Equal(`[[local|localrc]]
A=defaults
A=tree
A=user
# added by /p/heat/settings
enable_service h-eng
# added by /p/x/settings
A=plugin
# added by /p/heat/settings
B=$A
[[test-config|$TEMPEST_CONFIG]]
[x]
z = 1
[[post-config|$X]]
[a]
x = user
y = tree
`))
	g.Expect(composed.Section("local", "localrc")).To(HaveSuffix("A=plugin\n# added by /p/heat/settings\nB=$A\n"))
	g.Expect(composed.Section("post-config", "$X")).To(Equal("[a]\nx = user\ny = tree\n"))
}

// DevStack would drop what follows such a line, without a word.
func TestComposeNamesLinesThatDevStackMisreads(t *testing.T) {
	g := NewWithT(t)
	_, err := localconf.Compose(localconf.Input{
		Defaults: localconf.FromLocalrc("A=1\n"),
		User:     []config.File{{Path: "/c/devstack.local.conf", Text: "[[local|localrc]]\nA=2\n[[ -n $A || -n $B ]] && C=1\n"}},
		Added: []tree.LocalrcLine{
			{SettingsFile: "/p/x/settings", Line: 7, Text: "[[ $A | $B ]]"},
			{SettingsFile: "/p/y/settings", Line: 8, Text: "  [[ -n $A || -n $B ]] && C=1\n[[ -n $A ]]"},
		},
	})
	mistakes := config.Mistakes(err)
	g.Expect(mistakes).To(HaveLen(2))
	g.Expect(mistakes[0].Error()).To(Equal("/c/devstack.local.conf:3: DevStack takes \"[[ -n $A || -n $B ]] && C=1\" for the heading of a part " +
		"and drops what follows it; indent a test of the shell, or write it with 'test'"))
	g.Expect(mistakes[1].Error()).To(HavePrefix("/p/x/settings:7: "))
}

func TestCheckFindsWhatIsWrongWithoutATree(t *testing.T) {
	g := NewWithT(t)
	err := localconf.Check(t.Context(), []config.File{
		{Path: "/c/good", Text: "it's no shell\n[[local|localrc]]\nA=1\n[[post-config|$X]]\n[a]\nx = it's\n"},
		{Path: "/c/bad", Text: "[[post-config|$X]]\n[a]\nx = 1\n[[local|localrc]]\nif true; then fi\n"},
		{Path: "/c/devstack.localrc", Text: "A=1\n[[ $A || $B ]]\nB=\"\n"},
	})
	var said []string
	for _, mistake := range config.Mistakes(err) {
		said = append(said, mistake.Error())
	}
	g.Expect(said).To(HaveExactElements(
		HavePrefix("/c/bad:5: syntax error"),
		HavePrefix("/c/devstack.localrc:2: DevStack takes"),
		HavePrefix("/c/devstack.localrc:3: unexpected EOF"),
	))
}

func TestADevstackLocalrcIsMergedAsALocalrc(t *testing.T) {
	g := NewWithT(t)
	composed, err := localconf.Compose(localconf.Input{
		Defaults: localconf.FromLocalrc("A=1\n"), User: []config.File{{Path: "/c/devstack.localrc", Text: "A=2\n"}},
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(composed.String()).To(Equal("[[local|localrc]]\nA=1\nA=2\n"))
}

func TestOriginalIsWhatTheTreeCameWith(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing":               {},
		"a localrc":             {files: map[string]string{"localrc": "A=1\n"}, want: "[[local|localrc]]\nA=1\n"},
		"a local.conf":          {files: map[string]string{"local.conf": "[[local|localrc]]\nA=1\n"}, want: "[[local|localrc]]\nA=1\n"},
		"an original":           {files: map[string]string{"local.conf.orig": "[[local|localrc]]\nA=1\n"}, want: "[[local|localrc]]\nA=1\n"},
		"a localrc is newer":    {files: map[string]string{"local.conf.orig": "[[local|localrc]]\nA=1\n", "localrc": "B=2\n"}, want: "[[local|localrc]]\nB=2\n"},
		"a local.conf is added": {files: map[string]string{"localrc": "A=1\n", "local.conf": "[[local|localrc]]\nB=2\n"}, want: "[[local|localrc]]\nA=1\nB=2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			dir := t.TempDir()
			for file, text := range test.files {
				g.Expect(os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600)).To(Succeed())
			}
			original, err := localconf.Original(dir)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(original.String()).To(Equal(test.want))
		})
	}
	t.Run("that cannot be read", func(t *testing.T) {
		g := NewWithT(t)
		dir := t.TempDir()
		g.Expect(os.Mkdir(filepath.Join(dir, "localrc"), 0o700)).To(Succeed())
		_, err := localconf.Original(dir)
		g.Expect(err).To(MatchError(ContainSubstring("localrc")))
	})
}
