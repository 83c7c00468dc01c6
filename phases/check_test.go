package phases

import (
	"context"
	"errors"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/framework/report"
	"grenade/resources"
)

// fakeCheck fails to create, or crashes.
type fakeCheck struct {
	resources.Check
	err   error
	crash bool
}

func (f fakeCheck) Create(context.Context) error {
	if f.crash {
		panic("crashed")
	}
	return f.err
}

// A check that fails or crashes does not keep the other from being tried.
func TestBothKindsOfCheckRunWhateverComesOfTheOther(t *testing.T) {
	for name, native := range map[string]resources.Check{"fails": fakeCheck{err: errors.New("broken")}, "crashes": fakeCheck{crash: true}} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			run := ordered(t, "a")
			run.checks = func(resources.Cloud) map[string]resources.Check { return map[string]resources.Check{"a": native} }
			phase, _ := PhaseByID(Create)
			settled := run.Do(t.Context(), Row{Phase: phase, Project: "a"})
			g.Expect(settled.Outcome).To(Equal(report.Failed))
			g.Expect(settled.Failure.Message).To(ContainSubstring("native check"))
			g.Expect(run.ran(t)).To(Equal([]string{"a create"}))
		})
	}
}
