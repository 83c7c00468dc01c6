package phases

import (
	"context"
	"errors"
	"fmt"
	"os"
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

// watchingCheck sees whether the script has ended when it begins to create.
type watchingCheck struct {
	resources.Check
	sees func() bool
	saw  bool
}

func (w *watchingCheck) Create(context.Context) error {
	w.saw = w.sees()
	return nil
}

type solitaryCheck struct{ *watchingCheck }

func (solitaryCheck) Solitary() {}

// Beside another one the script ends when the native check has looked, which it
// does while the script runs; before a solitary one it takes its time.
func TestASolitaryCheckWaitsForTheOtherOne(t *testing.T) {
	for solitary, script := range map[bool]string{
		true:  "sleep 0.5; : >ended",
		false: "until [[ -e looked ]]; do sleep 0.01; done; : >ended",
	} {
		t.Run(fmt.Sprint(solitary), func(t *testing.T) {
			g := NewWithT(t)
			run := ordered(t, "a")
			dir := t.TempDir()
			g.Expect(os.WriteFile(run.Config.StackRoot+"/a/resources.sh", []byte("#!/bin/bash\ncd '"+dir+"'; "+script+"\n"), 0o755)).To(Succeed())
			native := &watchingCheck{sees: func() bool {
				_, err := os.Stat(dir + "/ended")
				g.Expect(os.WriteFile(dir+"/looked", nil, 0o600)).To(Succeed())
				return err == nil
			}}
			run.checks = func(resources.Cloud) map[string]resources.Check {
				if solitary {
					return map[string]resources.Check{"a": solitaryCheck{native}}
				}
				return map[string]resources.Check{"a": native}
			}
			phase, _ := PhaseByID(Create)
			g.Expect(run.Do(t.Context(), Row{Phase: phase, Project: "a"}).Outcome).To(Equal(report.Passed))
			g.Expect(native.saw).To(Equal(solitary))
		})
	}
}
