package harness

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestFollowerSeesEachFinishedLineOnce(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "run.jsonl")
	follower, err := Follow(path)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(follower.Next()).To(BeEmpty(), "no file yet")

	write := func(text string) {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		g.Expect(err).NotTo(HaveOccurred())
		_, err = file.WriteString(text)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(file.Close()).To(Succeed())
	}
	write(`{"event":"run","state":"started","pid":42,"results":"/r","run":"a"}` + "\n" + `{"event":"row","phase":"cre`)
	events, err := follower.Next()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(events).To(Equal([]Event{{Kind: KindRun, State: Started, PID: 42, Results: "/r", Run: "a"}}))
	g.Expect(follower.Next()).To(BeEmpty(), "half a line is no event")

	write(`ate","project":"glance","state":"passed","run":"a"}` + "\n")
	events, err = follower.Next()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(events).To(Equal([]Event{{Kind: KindRow, Phase: "create", Project: "glance", State: "passed", Run: "a"}}))
}

func TestFollowerSkipsAnEarlierRunButNotTheNextOne(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "run.jsonl")
	g.Expect(os.WriteFile(path, []byte(`{"event":"run","run":"old"}`+"\n"), 0o600)).To(Succeed())
	follower, err := Follow(path)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(follower.Next()).To(BeEmpty())

	// The next run truncates the file and writes more than there was.
	g.Expect(os.WriteFile(path, []byte(`{"event":"run","run":"new"}`+"\n"+`{"event":"setup","run":"new"}`+"\n"), 0o600)).To(Succeed())
	events, err := follower.Next()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(events).To(HaveLen(2))
	g.Expect(events[0].Run).To(Equal("new"))
}

func TestFollowerRefusesABrokenLine(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "run.jsonl")
	follower, err := Follow(path)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.WriteFile(path, []byte("not json\n"), 0o600)).To(Succeed())
	_, err = follower.Next()
	g.Expect(err).To(MatchError(ContainSubstring(`not an event: "not json"`)))
}
