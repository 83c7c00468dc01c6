package main

import (
	"testing"

	. "github.com/onsi/gomega"

	"grenade/hack/internal/harness"
)

func judged(glance string) ended {
	var end ended
	for project, outcome := range map[string]string{"keystone": "passed", "placement": "passed", "glance": glance} {
		end.verdict.Rows = append(end.verdict.Rows, harness.JudgedRow{Row: harness.Row{Phase: upgrade, Project: project}, Outcome: outcome})
	}
	if glance == "failed" {
		end.code = 1
	}
	return end
}

func TestARunMustEndAsItIsSaidTo(t *testing.T) {
	g := NewWithT(t)
	green, glance := harness.Row{}, harness.Row{Phase: upgrade, Project: "glance"}
	g.Expect(judged("passed").mustBe(green)).To(Succeed())
	g.Expect(judged("not checked").mustBe(green)).To(MatchError(ContainSubstring("upgrade/glance must have passed")), "a green run may prove nothing")
	g.Expect(judged("failed").mustBe(green)).NotTo(Succeed())
	g.Expect(judged("failed").mustBe(glance)).To(Succeed())
	g.Expect(judged("passed").mustBe(glance)).NotTo(Succeed())
	g.Expect(judged("failed").mustBe(harness.Row{Phase: upgrade, Project: "keystone"})).NotTo(Succeed())
	broken := judged("passed")
	broken.code = 3
	g.Expect(broken.mustBe(green)).NotTo(Succeed())
}
