package log

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Publisher copies logs of others to where they may be published.
type Publisher struct {
	// Hide takes the secrets out of a text.
	Hide func([]byte) []byte
}

// Dir publishes the regular files of a log directory and of those in it; one that is not there is no error. The error
// joins one for each file that could not be copied.
func (p Publisher) Dir(from, to string) error {
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	var failures []error
	for _, entry := range entries {
		switch {
		case entry.IsDir():
			failures = append(failures, p.Dir(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())))
		case entry.Type().IsRegular():
			failures = append(failures, p.File(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())))
		}
	}
	return errors.Join(failures...)
}

// File publishes one log, line by line.
func (p Publisher) File(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	copied, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("collect logs: %w", err)
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	lines, out := bufio.NewReader(source), bufio.NewWriter(copied)
	for {
		line, readErr := lines.ReadBytes('\n')
		if _, err := out.Write(p.Hide(line)); err != nil {
			return fmt.Errorf("collect logs: %w", err)
		}
		if errors.Is(readErr, io.EOF) {
			if err := out.Flush(); err != nil {
				return fmt.Errorf("collect logs: %w", err)
			}
			return nil
		}
		if readErr != nil {
			return fmt.Errorf("collect logs: %s: %w", from, readErr)
		}
	}
}
