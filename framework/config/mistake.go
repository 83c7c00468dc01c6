package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Environment stands in Mistake.File for a value that came from the
// environment.
const Environment = "environment"

// Mistake is something the user has to correct before a run can start. It is
// never a fault of the machine or of the cloud: its exit code is 2.
type Mistake struct {
	File    string // path, Environment, or "" when no single place is to blame
	Line    int    // 1-based; 0 when the place has no lines
	Message string // one sentence: what is wrong, what would be right
}

// Error gives the place in the form editors understand: file:line: message.
func (m *Mistake) Error() string {
	switch {
	case m.File == "":
		return m.Message
	case m.Line == 0:
		return fmt.Sprintf("%s: %s", m.File, m.Message)
	default:
		return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Message)
	}
}

// IsMistake tells whether err is, wraps or joins a Mistake.
func IsMistake(err error) bool {
	var m *Mistake
	return errors.As(err, &m)
}

// Mistakes lists every Mistake in err, in the order found.
func Mistakes(err error) []*Mistake {
	switch e := err.(type) { //nolint:errorlint // the tree is walked by hand, every branch of it
	case nil:
		return nil
	case *Mistake:
		return []*Mistake{e}
	case interface{ Unwrap() []error }:
		var all []*Mistake
		for _, inner := range e.Unwrap() {
			all = append(all, Mistakes(inner)...)
		}
		return all
	case interface{ Unwrap() error }:
		return Mistakes(e.Unwrap())
	default:
		return nil
	}
}

// place is the Mistake's place alone: file:line.
func (m *Mistake) place() string {
	if m.Line == 0 {
		return m.File
	}
	return fmt.Sprintf("%s:%d", m.File, m.Line)
}

// splitPlace is the reverse of place.
func splitPlace(place string) (file string, line int) {
	if i := strings.LastIndexByte(place, ':'); i >= 0 {
		if n, err := strconv.Atoi(place[i+1:]); err == nil {
			return place[:i], n
		}
	}
	return place, 0
}
