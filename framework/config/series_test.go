package config_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
)

func TestReleaseOfABranch(t *testing.T) {
	for branch, want := range map[string]string{
		"stable/zed": "zed", "stable/2025.1": "2025.1", "unmaintained/zed": "zed", "unmaintained/2023.1": "2023.1",
		"proposed/juno": "juno", "master": "master", "main": "master", "bugfix/stable/zed": "master",
		"refs/changes/12/34512/3": "master", "": "master", "stable/": "master", "stable": "master",
	} {
		t.Run(branch, func(t *testing.T) { NewWithT(t).Expect(config.ReleaseOf(branch)).To(Equal(want)) })
	}
}

func TestReleasesAreInOrder(t *testing.T) {
	g := NewWithT(t)
	order := strings.Fields("essex newton ocata victoria wallaby xena yoga zed 2023.1 2023.2 2024.1 2024.2 2025.1 2025.2 2026.1")
	last := 0
	for _, name := range order {
		ordinal, known := config.Ordinal(name)
		g.Expect(known).To(BeTrue(), name)
		g.Expect(ordinal).To(BeNumerically(">", last), name)
		last = ordinal
	}
	zed, _ := config.Ordinal("zed")
	antelope, _ := config.Ordinal("2023.1")
	g.Expect(antelope).To(Equal(zed + 1))
	for _, name := range []string{"master", "epoxy", "2022.2", "2023.3", "2023.10", "Zed", "", "zed "} {
		_, known := config.Ordinal(name)
		g.Expect(known).To(BeFalse(), name)
	}
	for _, release := range config.Releases() {
		g.Expect(config.NameOf(release.Name)).To(Equal(release.Name))
		g.Expect(config.NameOf(release.Number)).To(Equal(release.Name))
		g.Expect(config.NameOf(release.Codename)).To(Equal(release.Name))
		other := config.Releases()[0]
		a, _ := config.Ordinal(release.Name)
		b, _ := config.Ordinal(other.Name)
		g.Expect(a - b).To(Equal(config.Distance(other, release)))
	}
	names := config.ReleaseNames()
	g.Expect(names[len(names)-8:]).To(Equal(strings.Fields("zed 2023.1 2023.2 2024.1 2024.2 2025.1 2025.2 2026.1")))
	g.Expect(config.NameOf("2022.2")).To(Equal("zed"))
	g.Expect(config.NameOf("Wallaby")).To(Equal("wallaby"))
	g.Expect(config.NameOf("zebra")).To(BeEmpty())
}
