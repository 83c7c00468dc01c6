package config_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/config"
)

func TestFindRelease(t *testing.T) {
	for _, c := range []struct{ branch, want, suite string }{
		{"stable/zed", "stable/zed", "bookworm"},
		{"unmaintained/zed", "unmaintained/zed", "bookworm"},
		{"stable/2022.2", "stable/zed", "bookworm"},
		{"zed", "stable/zed", "bookworm"},
		{"stable/2025.1", "stable/2025.1", "trixie"},
		{"stable/epoxy", "stable/2025.1", "trixie"},
		{"epoxy", "stable/2025.1", "trixie"},
		{"stable/gazpacho", "stable/2026.1", "forky"},
		{"unmaintained/2026.1", "unmaintained/2026.1", "forky"},
	} {
		t.Run(c.branch, func(t *testing.T) {
			g := NewWithT(t)
			r, err := config.FindRelease(c.branch)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(r.Branch).To(Equal(c.want))
			g.Expect(r.Suite).To(Equal(c.suite))
		})
	}
	for _, branch := range []string{"", "master", "stable/", "stable/Zed", "stable/antelope", "feature/zed", "stable/zed/x", "zed/stable"} {
		t.Run("unknown "+branch, func(t *testing.T) {
			_, err := config.FindRelease(branch)
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring("stable/zed (2022.2), stable/2025.1 (epoxy), stable/2026.1 (gazpacho)")))
		})
	}
}

func TestDistanceSaysWhatUpstreamSupports(t *testing.T) {
	for _, c := range []struct {
		base, target string
		distance     int
		skips        bool
	}{
		{"zed", "zed", 0, false},
		{"zed", "2025.1", 5, true},
		{"zed", "2026.1", 7, true},
		{"2025.1", "2026.1", 2, false},
		{"2025.1", "zed", -5, false},
	} {
		t.Run(c.base+" to "+c.target, func(t *testing.T) {
			g := NewWithT(t)
			base, err := config.FindRelease(c.base)
			g.Expect(err).NotTo(HaveOccurred())
			target, err := config.FindRelease(c.target)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(config.Distance(base, target)).To(Equal(c.distance))
			g.Expect(config.SkipsReleases(base, target)).To(Equal(c.skips))
		})
	}
}

// Two releases apart is supported only from SLURP to SLURP.
func TestTwoStepsWithoutSLURPAreASkip(t *testing.T) {
	g := NewWithT(t)
	from := config.Release{Number: "2023.2"}
	to := config.Release{Number: "2024.2"}
	g.Expect(config.SkipsReleases(from, to)).To(BeTrue())
	g.Expect(config.SkipsReleases(from, config.Release{Number: "2024.1", SLURP: true})).To(BeFalse())
}
