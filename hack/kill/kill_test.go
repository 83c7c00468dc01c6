package main

import (
	"testing"

	. "github.com/onsi/gomega"

	"grenade/hack/internal/fakerun"
)

func TestPlanCoversEveryPhaseAndVictim(t *testing.T) {
	g := NewWithT(t)
	attacks, err := plan(fakerun.Phases())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(attacks).To(HaveLen(2 * (1 + len(fakerun.Phases()))))
	cures := map[cure]map[victim]int{clean: {}, start: {}, green: {}}
	names := map[string]bool{}
	for _, a := range attacks {
		cures[a.cure][a.victim]++
		names[a.String()] = true
	}
	g.Expect(names).To(HaveLen(len(attacks)), "each attack has a name of its own")
	for _, victim := range []victim{suite, cli} {
		g.Expect(cures[green][victim]).To(Equal(3), "before, in and after upgrade")
		g.Expect(cures[clean][victim]).To(BeNumerically(">=", 1))
		g.Expect(cures[start][victim]).To(BeNumerically(">=", 1))
	}
}

func TestPlanNeedsThePhasesItPromises(t *testing.T) {
	_, err := plan([]string{"create", "destroy"})
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("no phase upgrade")))
}

func TestEveryCureAfterEveryVictim(t *testing.T) {
	for _, victim := range []victim{suite, cli} {
		for _, cure := range []cure{clean, start, green} {
			for _, phase := range []string{setupPhase, "upgrade"} {
				a := attack{phase: phase, victim: victim, cure: cure}
				t.Run(a.String(), func(t *testing.T) {
					g := NewWithT(t)
					site := fakerun.New(t)
					killer, err := newKiller(site, fakerun.Look(site))
					g.Expect(err).NotTo(HaveOccurred())
					detail, err := killer.attack(t.Context(), a)
					g.Expect(err).NotTo(HaveOccurred())
					g.Expect(detail).To(ContainSubstring("after the kill with exit"))
				})
			}
		}
	}
}

func TestWhatACureLeavesIsFoundOut(t *testing.T) {
	for _, cure := range []cure{clean, start, green} {
		t.Run(string(cure), func(t *testing.T) {
			g := NewWithT(t)
			site := fakerun.New(t)
			t.Setenv("FAKE_LEAVES", "1")
			killer, err := newKiller(site, fakerun.Look(site))
			g.Expect(err).NotTo(HaveOccurred())
			_, err = killer.attack(t.Context(), attack{phase: "upgrade", victim: suite, cure: cure})
			g.Expect(err).To(MatchError(MatchRegexp("left (behind|processes)")))
		})
	}
}
