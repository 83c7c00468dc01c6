package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The files of a report.
const (
	JUnitFile   = "junit.xml"
	JSONFile    = "report.json"
	HTMLFile    = "report.html"
	SummaryFile = "summary.txt"
)

// WriteAll writes all forms of the report into dir, which is made. Each file is
// replaced as a whole: a reader, or a run killed in the middle, never sees half
// of one. What fails does not keep the others from being written.
func (r Report) WriteAll(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return errors.Join(
		replace(filepath.Join(dir, JUnitFile), func(w io.Writer) error { return r.WriteJUnit(w, dir) }),
		replace(filepath.Join(dir, JSONFile), r.WriteJSON),
		replace(filepath.Join(dir, HTMLFile), r.WriteHTML),
		replace(filepath.Join(dir, SummaryFile), func(w io.Writer) error {
			out := newSink(w)
			out.put(r.Summary())
			return out.done("text")
		}),
	)
}

// sink buffers one form of the report on its way. It keeps the first error, which
// done tells.
type sink struct{ *bufio.Writer }

func newSink(w io.Writer) sink { return sink{bufio.NewWriter(w)} }

func (s sink) put(text string) {
	_, _ = s.WriteString(text) // Flush tells
}

func (s sink) putf(format string, args ...any) {
	_, _ = fmt.Fprintf(s, format, args...) // Flush tells
}

func (s sink) done(form string) error {
	if err := s.Flush(); err != nil {
		return fmt.Errorf("writing the report as %s: %w", form, err)
	}
	return nil
}

// SaveProgress writes only report.json, for a run that goes on: whoever ends it
// from outside finds what came of it so far, and a resumed run goes on from it.
func (r Report) SaveProgress(dir string) error {
	return replace(filepath.Join(dir, JSONFile), r.WriteJSON)
}

// replace writes a file under another name, syncs it and renames it.
func replace(path string, write func(io.Writer) error) error {
	temporary, err := writeTemporary(path, write)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = os.Remove(temporary) // of two errors the first is the one to tell
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// writeTemporary writes a new file beside path and returns its name, also with
// an error if it is there.
//
//nolint:wrapcheck // the caller names the file and what is done with it
func writeTemporary(path string, write func(io.Writer) error) (name string, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return "", err
	}
	err = write(file)
	return file.Name(), errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close())
}
