package config_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
)

func TestExtraPackages(t *testing.T) {
	for value, expected := range map[string]config.ExtraPackages{
		"":            {Setting: "BASE_EXTRA_PACKAGES"},
		"/srv/debs//": {Setting: "BASE_EXTRA_PACKAGES", Directory: "/srv/debs"},
		"deb [trusted=yes  arch=amd64] http://user:hush@packages.example/os/  bookworm-zed-backports   main": {
			Setting: "BASE_EXTRA_PACKAGES",
			Source: config.AptSource{
				Options: []string{"trusted=yes", "arch=amd64"}, URI: "http://user:hush@packages.example/os",
				Suite: "bookworm-zed-backports", Components: []string{"main"},
			},
		},
		"deb file:///srv/repository ./": {
			Setting: "BASE_EXTRA_PACKAGES",
			Source:  config.AptSource{URI: "file:///srv/repository", Suite: "./", Components: []string{}},
		},
	} {
		t.Run(value, func(t *testing.T) {
			g := NewWithT(t)
			c, err := config.Load(t.Context(), config.Sources{
				Environ: []string{"HOME=/h", "BASE_EXTRA_PACKAGES=" + value}, Dirs: []string{t.TempDir()},
			})
			g.Expect(err).NotTo(HaveOccurred())
			if value == "" {
				g.Expect(c.BaseExtra.None()).To(BeTrue())
				return
			}
			g.Expect(c.BaseExtra).To(Equal(expected))
			g.Expect(c.BaseExtra.None()).To(BeFalse())
			g.Expect(c.TargetExtra.None()).To(BeTrue())
			if expected.Source.URI == "http://user:hush@packages.example/os" {
				g.Expect(c.Secrets()).To(Equal([]string{"hush"}))
				g.Expect(c.BaseExtra.String()).To(Equal("deb [trusted=yes arch=amd64] http://user:hush@packages.example/os bookworm-zed-backports main"))
			}
		})
	}
}
