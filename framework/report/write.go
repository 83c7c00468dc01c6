package report

import (
	"bytes"
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
			return put(w, []byte(r.Summary()), "text")
		}),
	)
}

// put writes one form of the report, which was made in memory: it is written
// whole or not at all.
func put(w io.Writer, content []byte, form string) error {
	if _, err := w.Write(content); err != nil {
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
	var content bytes.Buffer
	if err := write(&content); err != nil {
		return err
	}
	temporary, err := writeTemporary(path, content.Bytes())
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
func writeTemporary(path string, content []byte) (name string, err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	return file.Name(), errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close())
}
