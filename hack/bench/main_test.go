package main

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestRunsOfPluginsThatDoNothing(t *testing.T) {
	g := NewWithT(t)
	var out strings.Builder
	g.Expect(run(t.Context(), []string{"-sizes", "1,3", "-tree", "../../framework/tree/debstack/tree"}, &out)).To(Succeed())
	g.Expect(out.String()).To(MatchRegexp(`(?m)^ +1 +8 .* - *$`), "a run has eight scripts of a plugin")
	g.Expect(out.String()).To(MatchRegexp(`(?m)^ +3 +24 `))
}

func TestNumbers(t *testing.T) {
	g := NewWithT(t)
	g.Expect(numbers("1,20")).To(Equal([]int{1, 20}))
	for _, wrong := range []string{"", "0", "x", "1,,2"} {
		_, err := numbers(wrong)
		g.Expect(err).To(MatchError(ContainSubstring("is no number of plugins")), wrong)
	}
}
