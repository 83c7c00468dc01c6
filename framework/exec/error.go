package exec

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// maxDescription is how many bytes of a command line an error shows.
const maxDescription = 160

// Error tells why a command did not end well.
type Error struct {
	Args []string
	// ExitCode is the program's; 128+n when signal n killed it; -1 when it never ran or could not be ended.
	ExitCode int
	// TimedOut: the command ran into Limit, its Timeout.
	TimedOut bool
	// Cancelled: the context ended first; Err is its cause.
	Cancelled bool
	Limit     time.Duration
	// Tail is the last lines of output, Log the file that has all of it ("" when it was private).
	Tail []string
	Log  string
	// Err is what is behind it: ErrTimeout, the context's cause, why it could not be started; nil for a
	// plain exit code.
	Err error
}

// Error is one sentence: the command, what happened to it, its last line and its log.
func (e *Error) Error() string {
	var s strings.Builder
	s.WriteString(describe(e.Args))
	switch {
	case e.TimedOut:
		fmt.Fprintf(&s, ": killed at its limit of %s", e.Limit)
		if extra := withoutTimeout(e.Err); extra != "" {
			fmt.Fprintf(&s, " (%s)", extra)
		}
	case e.Cancelled && e.ExitCode == -1:
		fmt.Fprintf(&s, ": not run to its end: %v", e.Err)
	case e.Cancelled:
		fmt.Fprintf(&s, ": stopped: %v", e.Err)
	case e.Err != nil:
		fmt.Fprintf(&s, ": not started: %v", e.Err)
	case e.ExitCode > 128 && e.ExitCode < 128+65:
		fmt.Fprintf(&s, ": exit code %d (signal %d)", e.ExitCode, e.ExitCode-128)
	default:
		fmt.Fprintf(&s, ": exit code %d", e.ExitCode)
	}
	if last := e.lastLine(); last != "" {
		fmt.Fprintf(&s, "; last line: %q", cut(last, maxDescription))
	}
	if e.Log != "" {
		fmt.Fprintf(&s, "; log: %s", e.Log)
	}
	return s.String()
}

// Unwrap gives ErrTimeout, the context's cause, or why the program could not be started.
func (e *Error) Unwrap() error { return e.Err }

// lastLine is the last line of output that says anything.
func (e *Error) lastLine() string {
	for i := len(e.Tail) - 1; i >= 0; i-- {
		if line := strings.TrimSpace(e.Tail[i]); line != "" {
			return line
		}
	}
	return ""
}

// withoutTimeout is what went wrong beside the timeout itself.
func withoutTimeout(err error) string {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return ""
	}
	var rest []string
	for _, one := range joined.Unwrap() {
		if !errors.Is(one, ErrTimeout) {
			rest = append(rest, one.Error())
		}
	}
	return strings.Join(rest, "; ")
}

// describe gives a command line for people, on one line and not too long.
func describe(args []string) string {
	if len(args) == 0 {
		return "(no command)"
	}
	return cut(strings.Join(strings.Fields(strings.Join(args, " ")), " "), maxDescription)
}

// cut shortens s to at most limit bytes, and says so, without breaking a character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
