package report

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"time"
)

// Test is one test of a test suite that a row ran: Tempest's.
type Test struct {
	Class    string        `json:"class"`
	Name     string        `json:"name"`
	Outcome  Outcome       `json:"outcome"` // passed, failed or not checked
	Message  string        `json:"message,omitempty"`
	Duration time.Duration `json:"duration_ns"`
}

// row is the test as a row of JUnit's, whose class tells which row ran it.
func (t Test) row(of Row) Row {
	row := Row{Phase: of.Phase + "." + t.Class, Project: t.Name, Outcome: t.Outcome, Duration: t.Duration, Reason: t.Message}
	if t.Outcome == Failed {
		first, _, _ := strings.Cut(t.Message, "\n")
		row.Failure = &Failure{Message: first, Tail: strings.Split(t.Message, "\n")}
	}
	return row
}

// ReadTests reads a JUnit file, as subunit2junitxml writes it: one test suite,
// its cases with class name, name and seconds.
func ReadTests(path string) ([]Test, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("tests: %w", err)
	}
	type outcome struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	var suite struct {
		Cases []struct {
			Class   string   `xml:"classname,attr"`
			Name    string   `xml:"name,attr"`
			Seconds float64  `xml:"time,attr"`
			Failure *outcome `xml:"failure"`
			Error   *outcome `xml:"error"`
			Skipped *outcome `xml:"skipped"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal(content, &suite); err != nil {
		return nil, fmt.Errorf("tests: %s: %w", path, err)
	}
	tests := make([]Test, 0, len(suite.Cases))
	for _, each := range suite.Cases {
		test := Test{Class: each.Class, Name: each.Name, Outcome: Passed, Duration: time.Duration(each.Seconds * float64(time.Second))}
		say := func(what Outcome, how *outcome) {
			test.Outcome = what
			test.Message = strings.TrimSpace(how.Message + "\n" + how.Text)
		}
		switch {
		case each.Failure != nil:
			say(Failed, each.Failure)
		case each.Error != nil:
			say(Failed, each.Error)
		case each.Skipped != nil:
			say(NotChecked, each.Skipped)
		}
		tests = append(tests, test)
	}
	return tests, nil
}
