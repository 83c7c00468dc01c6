package plugincheck

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func endedContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestLocate(t *testing.T) {
	g := NewWithT(t)
	root := t.TempDir()
	for _, file := range []string{
		"checkout/devstack/settings", "checkout/devstack/upgrade/settings", "alone/resources.sh",
		"grenade/projects/10_a/upgrade.sh", "grenade/projects/20_b/settings", "grenade/projects/README", "grenade/projects/lib/x",
		"several/one/settings", "nothing/README",
	} {
		path := filepath.Join(root, file)
		g.Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(path, nil, 0o644)).To(Succeed())
	}
	for path, want := range map[string][]string{
		"checkout":                  {"checkout/devstack/upgrade"},
		"checkout/devstack":         {"checkout/devstack/upgrade"},
		"checkout/devstack/upgrade": {"checkout/devstack/upgrade"},
		"alone":                     {"alone"},
		"grenade":                   {"grenade/projects/10_a", "grenade/projects/20_b"},
		"grenade/projects":          {"grenade/projects/10_a", "grenade/projects/20_b"},
		"several":                   {"several/one"},
	} {
		for i, dir := range want {
			want[i] = filepath.Join(root, dir)
		}
		g.Expect(Locate(filepath.Join(root, path))).To(Equal(want), path)
	}
	for path, message := range map[string]string{
		"nothing":            "no devstack/upgrade, no settings",
		"missing":            "no such file",
		"alone/resources.sh": "is a file",
	} {
		_, err := Locate(filepath.Join(root, path))
		g.Expect(err).To(MatchError(ErrNoPlugin))
		g.Expect(err).To(MatchError(ContainSubstring(message)))
	}
}
