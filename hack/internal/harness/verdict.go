package harness

import (
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Row names one line of the plan.
type Row struct {
	Phase   string `json:"phase"`
	Project string `json:"project"`
}

// String is phase/project.
func (r Row) String() string { return r.Phase + "/" + r.Project }

// JudgedRow is a row of report.json.
type JudgedRow struct {
	Row
	// Outcome is "passed", "failed", "not checked", "blocked" or "not run".
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	// Log is the path of the row's log below the results directory.
	Log string `json:"log"`
	// Consequence tells that an earlier failure explains this one.
	Consequence bool `json:"consequence"`
	Failure     struct {
		Message string `json:"message"`
	} `json:"failure"`
}

// Why is the sentence that goes with the outcome.
func (r JudgedRow) Why() string { return cmp.Or(r.Failure.Message, r.Reason) }

// Verdict is what a run wrote about itself.
type Verdict struct {
	Rows []JudgedRow `json:"rows"`
	dir  string
}

// ReadVerdict reads report.json in the results directory.
func ReadVerdict(results string) (Verdict, error) {
	content, err := os.ReadFile(filepath.Join(results, "report.json"))
	if err != nil {
		return Verdict{}, fmt.Errorf("read the verdict: %w", err)
	}
	verdict := Verdict{dir: results}
	if err := json.Unmarshal(content, &verdict); err != nil {
		return Verdict{}, fmt.Errorf("read the verdict: %s/report.json: %w", results, err)
	}
	if len(verdict.Rows) == 0 {
		return Verdict{}, fmt.Errorf("read the verdict: %s/report.json has no rows", results)
	}
	return verdict, nil
}

// FirstFailed returns the first row in plan order that failed by itself, not as a
// consequence, and whether there is one.
func (v Verdict) FirstFailed() (JudgedRow, bool) {
	for _, row := range v.Rows {
		if row.Outcome == "failed" && !row.Consequence {
			return row, true
		}
	}
	return JudgedRow{}, false
}

// Find returns the row, and whether the report has it.
func (v Verdict) Find(want Row) (JudgedRow, bool) {
	for _, row := range v.Rows {
		if row.Row == want {
			return row, true
		}
	}
	return JudgedRow{}, false
}

// Plan returns the names of all rows, in order.
func (v Verdict) Plan() []Row {
	rows := make([]Row, 0, len(v.Rows))
	for _, row := range v.Rows {
		rows = append(rows, row.Row)
	}
	return rows
}

// ReadLog returns the text of the row's log.
func (v Verdict) ReadLog(row JudgedRow) (string, error) {
	if row.Log == "" {
		return "", fmt.Errorf("report.json names no log for %s", row)
	}
	content, err := os.ReadFile(filepath.Join(v.dir, row.Log))
	if err != nil {
		return "", fmt.Errorf("the log of %s: %w", row, err)
	}
	return string(content), nil
}

// JUnitCase is a test case of junit.xml.
type JUnitCase struct {
	Class  string    `xml:"classname,attr"`
	Name   string    `xml:"name,attr"`
	Failed *struct{} `xml:"failure"`
	Output string    `xml:"system-out"`
}

// ReadJUnit reads junit.xml in the results directory: the cases by row.
func ReadJUnit(results string) (map[Row]JUnitCase, error) {
	content, err := os.ReadFile(filepath.Join(results, "junit.xml"))
	if err != nil {
		return nil, fmt.Errorf("read junit.xml: %w", err)
	}
	type suite struct {
		Cases []JUnitCase `xml:"testcase"`
	}
	// The outermost element may be either; cases of both are read.
	var document struct {
		Suites []suite     `xml:"testsuite"`
		Cases  []JUnitCase `xml:"testcase"`
	}
	if err := xml.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("%s/junit.xml: %w", results, err)
	}
	cases := document.Cases
	for _, suite := range document.Suites {
		cases = append(cases, suite.Cases...)
	}
	byRow := map[Row]JUnitCase{}
	for _, one := range cases {
		phase, ours := strings.CutPrefix(one.Class, "grenade.")
		if !ours {
			return nil, fmt.Errorf("%s/junit.xml: class %q of %q is not grenade.<phase>", results, one.Class, one.Name)
		}
		row := Row{Phase: phase, Project: one.Name}
		if _, twice := byRow[row]; twice {
			return nil, fmt.Errorf("%s/junit.xml holds %s twice", results, row)
		}
		byRow[row] = one
	}
	return byRow, nil
}

// CheckJUnit checks that junit.xml holds every planned row, and that the failed
// row's case is a failure with output that holds the text.
func CheckJUnit(results string, plan []Row, failed Row, text string) error {
	cases, err := ReadJUnit(results)
	if err != nil {
		return err
	}
	var missing []string
	for _, row := range plan {
		if _, there := cases[row]; !there {
			missing = append(missing, row.String())
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s/junit.xml lacks %d of %d planned rows: %s", results, len(missing), len(plan), strings.Join(missing, ", "))
	}
	one := cases[failed]
	if one.Failed == nil {
		return fmt.Errorf("%s/junit.xml: %s is no failure", results, failed)
	}
	if strings.TrimSpace(one.Output) == "" || !strings.Contains(one.Output, text) {
		return fmt.Errorf("%s/junit.xml: the output of %s lacks %q", results, failed, text)
	}
	return nil
}
