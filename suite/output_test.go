package suite_test

import (
	"io"
	"os"
	"regexp"

	"grenade/framework/report"
)

// withoutDots passes Ginkgo's output on, but for the single characters that
// it prints per row: a row has a line of its own already.
type withoutDots struct{ to io.Writer }

// Write drops a chunk that is one of Ginkgo's marks and nothing else.
func (w *withoutDots) Write(chunk []byte) (int, error) {
	if mark().Match(chunk) {
		return len(chunk), nil
	}
	return w.to.Write(chunk)
}

// mark matches a lone mark, coloured or not.
func mark() *regexp.Regexp { return regexp.MustCompile(`^(\x1b\[[0-9;]*m)*[•SP+](\x1b\[[0-9;]*m)*$`) }

// newProgress tells the run on stdout. Under "ginkgo run" stdout is the CLI's
// own; a CI system gets fewer lines than somebody who watches.
func newProgress(redact func(string) string) *report.Progress {
	terminal, width := report.IsTerminal(os.Stdout)
	return report.NewProgress(report.ProgressOptions{
		Out: os.Stdout, Terminal: terminal, Width: width, Heartbeat: report.Heartbeat(os.Environ()), Redact: redact,
	})
}
