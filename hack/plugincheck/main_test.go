package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/plugins/plugincheck"
)

func TestRun(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "heat/devstack/upgrade")
	g := NewWithT(t)
	g.Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(dir, "settings"), []byte("register_project_for_upgrade heat\ncd /tmp\ncd /\n"), 0o644)).To(Succeed())
	for name, test := range map[string]struct {
		args  []string
		found int
		said  string
	}{
		"the reason stands once": {[]string{dir}, 5, "settings:2: settings: cd changes the directory of all settings that follow\n    why: "},
		"a checkout":             {[]string{filepath.Join(root, "heat")}, 5, "plugin-check: plugins: 1, findings: 5\n"},
		"brief":                  {[]string{"-brief", dir}, 5, "settings:2: settings: cd changes the directory of all settings that follow\n" + dir + "/settings:3: "},
		"the rules":              {[]string{"-rules"}, 0, "endless-loop\n    why: "},
		"another tree":           {[]string{"-tree", "../../framework/tree/debstack/tree", dir}, 5, "findings: 5\n"},
		"missing scripts":        {[]string{dir}, 5, "upgrade.sh is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var out strings.Builder
			found, err := run(t.Context(), test.args, &out)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(found).To(Equal(test.found), out.String())
			g.Expect(out.String()).To(ContainSubstring(test.said))
		})
	}
	for message, args := range map[string][]string{
		"which plugin?":        {},
		"DevStack-shaped":      {"-tree", root, dir},
		"flag provided but":    {"-nonsense", dir},
		"no such file or":      {filepath.Join(root, "nowhere")},
		"is a file; name the ": {filepath.Join(dir, "settings")},
	} {
		_, err := run(t.Context(), args, &strings.Builder{})
		NewWithT(t).Expect(err).To(MatchError(ContainSubstring(message)))
	}
	_, err := run(t.Context(), []string{t.TempDir()}, &strings.Builder{})
	g.Expect(err).To(MatchError(plugincheck.ErrNoPlugin))
}
