package suite_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/onsi/ginkgo/v2/types"

	"grenade/framework/config"
	"grenade/framework/host"
	"grenade/framework/report"
	"grenade/framework/tree"
	"grenade/phases"
)

// exitCode tells the run's outcome to who started it: the Ginkgo CLI turns
// every failure into 1, so the code goes into a file and into a line of text.
type exitCode struct{ file string }

func newExitCode(file string) *exitCode { return &exitCode{file: file} }

// end writes the code down and prints it with the reason.
func (e *exitCode) end(code int, reason string) {
	fmt.Printf("grenade: %s (exit %d)\n", reason, code)
	e.set(code, reason)
}

// set writes the code down, and a sentence that explains it.
func (e *exitCode) set(code int, reason string) {
	if e.file == "" {
		return
	}
	if err := os.WriteFile(e.file, []byte(strconv.Itoa(code)+"\n"+reason+"\n"), 0o600); err != nil {
		fmt.Fprintf(os.Stderr, "the exit code could not be written: %v\n", err)
	}
}

// usageError is a mistake on the command line.
type usageError struct{ text string }

func (u *usageError) Error() string { return u.text }

// codeOf returns the exit code for an error that came before the first row, or
// otherwise when nothing about the error tells whose fault it is.
func codeOf(err error, otherwise int) int {
	var usage *usageError
	switch {
	case errors.As(err, &usage), config.IsMistake(err), errors.Is(err, phases.ErrSelectsNothing), errors.Is(err, tree.ErrSetting):
		return report.Usage
	case errors.Is(err, tree.ErrEnvironment), host.IsLack(err), errors.Is(err, host.ErrBusy):
		return report.Environment
	default:
		return otherwise
	}
}

// endedBy is the code for a run whose end its rows do not explain: an
// interrupt, a setup that never had a chance, or a failure that only Ginkgo
// saw, such as a panic in the suite itself. It is Green when there is none.
func (s *suite) endedBy(ginkgo types.Report) int {
	interrupted, rowsFailed := s.signals.interrupted(), false
	for _, spec := range ginkgo.SpecReports {
		rowsFailed = rowsFailed || spec.Failed()
	}
	switch {
	case interrupted:
		return report.Interrupted
	case s.setupError != nil:
		return codeOf(s.setupError, report.Red)
	case !ginkgo.SuiteSucceeded || rowsFailed:
		return report.Red
	default:
		return report.Green
	}
}
