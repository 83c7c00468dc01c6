package debstack

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestNotesOfStackShAreTold(t *testing.T) {
	g := NewWithT(t)
	var notes, lines []string
	cloud := &Cloud{options: CloudOptions{Note: func(text string) { notes = append(notes, text) }}}
	onLine := cloud.withNotes(func(line string) { lines = append(lines, line) })
	for _, line := range []string{"  1.0 s  0.1 s  cinder: note: no", "note: cinder: backend nfs", "note:"} {
		onLine(line)
	}
	cloud.withNotes(nil)("note: nobody else listens")
	g.Expect(notes).To(Equal([]string{"cinder: backend nfs", "nobody else listens"}))
	g.Expect(lines).To(HaveLen(3))
}
