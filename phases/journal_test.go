package phases_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"grenade/phases"
)

func TestJournalSurvivesALineThatWasCutShort(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	journal, err := phases.OpenJournal(dir, "run-1", true)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(journal.Record(phases.Event{Kind: phases.EventRun, State: phases.StateStarted, PID: 7})).To(Succeed())
	g.Expect(journal.Close()).To(Succeed())

	file, err := os.OpenFile(filepath.Join(dir, "run.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	g.Expect(err).NotTo(HaveOccurred())
	_, err = file.WriteString(`{"event":"row","pha`)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(file.Close()).To(Succeed())

	events, err := phases.ReadJournal(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(events).To(HaveLen(1))

	journal, err = phases.OpenJournal(dir, "run-1", false)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(journal.Record(phases.Event{Kind: phases.EventRun, State: phases.StateFinished})).To(Succeed())
	g.Expect(journal.Close()).To(Succeed())

	events, err = phases.ReadJournal(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(events).To(HaveLen(2))
	g.Expect(events[1].State).To(Equal(phases.StateFinished))
}

func TestJournalThatIsBrokenInTheMiddleIsAnErrorWithItsLine(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(dir, "run.jsonl"), []byte("{}\nnonsense\n{}\n"), 0o600)).To(Succeed())
	_, err := phases.ReadJournal(dir)
	g.Expect(err).To(MatchError(ContainSubstring("run.jsonl:2: not a journal event")))
}

func TestPreviousRun(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  *phases.Previous
	}{
		{name: "no journal"},
		{
			name:  "a run that was killed",
			lines: []string{`{"run":"a","event":"run","state":"started","pid":5}`, `{"run":"a","event":"row","state":"passed"}`},
			want:  &phases.Previous{ID: "a", PID: 5},
		},
		{
			name:  "a run whose cloud is gone",
			lines: []string{`{"run":"a","event":"run","state":"started","pid":5}`, `{"run":"a","event":"run","state":"finished"}`},
			want:  &phases.Previous{ID: "a", PID: 5, Finished: true},
		},
		{
			name:  "a run that another process went on with",
			lines: []string{`{"run":"a","event":"run","state":"started","pid":5}`, `{"run":"a","event":"run","state":"started","pid":9}`},
			want:  &phases.Previous{ID: "a", PID: 9},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := NewWithT(t)
			dir := t.TempDir()
			if test.lines != nil {
				g.Expect(os.WriteFile(filepath.Join(dir, "run.jsonl"), []byte(strings.Join(test.lines, "\n")+"\n"), 0o600)).To(Succeed())
			}
			previous, err := phases.PreviousRun(dir)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(previous).To(Equal(test.want))
		})
	}
}
