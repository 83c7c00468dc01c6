// Package log is the room of the run's own log: one logrus logger whose entries
// go as short text to the console and as JSON lines to a file, with run, phase
// and project on every line and without the run's secrets.
//
// A log never fails a run: what cannot be written is dropped.
package log

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/sirupsen/logrus"
)

// The fields that every line carries.
const (
	FieldRun     = "run"
	FieldPhase   = "phase"
	FieldProject = "project"
)

// Options say where a log goes.
type Options struct {
	// Console gets text. Nil: none.
	Console io.Writer
	// JSONFile is appended to; its directory is made. "": none.
	JSONFile string
	// RunID is the field "run" of every line.
	RunID string
	// Fields stand on every line.
	Fields logrus.Fields
	// Level is the lowest level that is logged. Default: logrus.InfoLevel.
	Level logrus.Level
	// Redactor hides secrets. Default: one of the log's own.
	Redactor *Redactor
}

// Log is a logrus.Logger with the run's conventions.
type Log struct {
	*logrus.Logger

	redactor *Redactor
	sink     *sink
	fields   logrus.Fields
}

// New makes a log. A file that cannot be opened is told on the console, once.
func New(o Options) *Log {
	if o.Level == logrus.PanicLevel { // the zero Level
		o.Level = logrus.InfoLevel
	}
	if o.Redactor == nil {
		o.Redactor = NewRedactor()
	}
	fields := logrus.Fields{FieldRun: o.RunID, FieldPhase: "", FieldProject: ""}
	for k, v := range o.Fields {
		fields[k] = v
	}
	s := &sink{console: o.Console, redactor: o.Redactor, fields: fields, json: newJSONFormatter()}
	if o.JSONFile != "" {
		s.open(o.JSONFile)
	}

	logger := logrus.New()
	logger.SetLevel(o.Level)
	// The hook writes: console and file want different formats.
	logger.SetOutput(io.Discard)
	logger.SetFormatter(nothing{})
	logger.AddHook(s)
	return &Log{Logger: logger, redactor: o.Redactor, sink: s, fields: fields}
}

// For is the log of one phase and project; either may be "".
func (l *Log) For(phase, project string) *logrus.Entry {
	return l.WithFields(logrus.Fields{FieldPhase: phase, FieldProject: project})
}

// Redact registers secrets: from now on they appear as *** only.
func (l *Log) Redact(values ...string) { l.redactor.Add(values...) }

// Redactor is the log's own, for other things that are published.
func (l *Log) Redactor() *Redactor { return l.redactor }

// Close closes the file; later entries go to the console alone. The error is
// the first that writing the file met.
func (l *Log) Close() error { return l.sink.close() }

// sink is the hook that writes.
type sink struct {
	redactor *Redactor
	fields   logrus.Fields
	json     *logrus.JSONFormatter

	mu      sync.Mutex
	console io.Writer
	file    *os.File
	broken  error // the first error of the file
}

// Levels makes the hook see every entry.
func (s *sink) Levels() []logrus.Level { return logrus.AllLevels }

// Fire never returns an error: logrus would print it in the middle of things.
func (s *sink) Fire(entry *logrus.Entry) error {
	clean := s.clean(entry)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.toConsole(clean)
	if s.file != nil {
		line, err := s.json.Format(clean)
		if err != nil { // a field that JSON cannot hold
			clean.Data = s.plainFields(clean.Data)
			line, err = s.json.Format(clean)
		}
		if err == nil {
			_, err = s.file.Write(s.redactor.Bytes(line))
		}
		if err != nil {
			s.giveUp(err)
		}
	}
	return nil
}

// clean is the entry with all fields and without secrets. Secrets are replaced
// before formatting, which may break them up, and again after it, when
// everything is text.
func (s *sink) clean(entry *logrus.Entry) *logrus.Entry {
	copied := &logrus.Entry{
		Logger: entry.Logger, Time: entry.Time, Level: entry.Level, Caller: entry.Caller,
		Message: s.redactor.String(entry.Message), Data: make(logrus.Fields, len(entry.Data)+len(s.fields)),
	}
	for k, v := range s.fields {
		copied.Data[k] = v
	}
	for k, v := range entry.Data {
		switch v := v.(type) {
		case string:
			copied.Data[k] = s.redactor.String(v)
		case error:
			copied.Data[k] = s.redactor.String(v.Error())
		case fmt.Stringer:
			copied.Data[k] = s.redactor.String(v.String())
		default:
			copied.Data[k] = v
		}
	}
	return copied
}

func (s *sink) plainFields(data logrus.Fields) logrus.Fields {
	plain := make(logrus.Fields, len(data))
	for k, v := range data {
		plain[k] = fmt.Sprint(v)
	}
	return plain
}

// toConsole ignores errors: the terminal may be gone (EPIPE), the run goes on.
func (s *sink) toConsole(entry *logrus.Entry) {
	if s.console != nil {
		_, _ = s.console.Write(s.redactor.Bytes(consoleLine(entry)))
	}
}

func (s *sink) open(path string) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.giveUp(err)
		return
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		s.giveUp(err)
		return
	}
	s.file = file
}

// giveUp tells once that the file is lost and stops writing it.
func (s *sink) giveUp(err error) {
	if s.broken == nil {
		s.broken = err
		s.toConsole(&logrus.Entry{
			Time: now(), Level: logrus.WarnLevel, Data: s.fields,
			Message: fmt.Sprintf("the log file cannot be written (%v); the log goes on here only", err),
		})
	}
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}

func (s *sink) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		if err := s.file.Close(); err != nil && s.broken == nil {
			s.broken = err
		}
		s.file = nil
	}
	return s.broken
}
