package report_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"grenade/framework/report"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the golden files instead of comparing with them")
	flag.Parse()
	os.Exit(m.Run())
}

// golden compares with a file in testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (go test -update writes it anew):\n%s", path, got)
	}
}

func begin() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }

func phases() []string {
	return []string{
		"verify_base", "early_create", "create", "verify pre-upgrade", "shutdown", "snapshot", "verify_noapi",
		"upgrade", "verify post-upgrade", "verify_target", "destroy",
	}
}

func projects() []string { return []string{"keystone", "placement", "glance"} }

// green is a run as it should be.
func green() report.Report {
	r := report.Report{
		RunID: "20260131-1200-abcd", Started: begin(), Finished: begin().Add(161 * time.Second),
		Base: report.Side{Release: "zed", Branch: "stable/zed", Suite: "bookworm",
			Packages: map[string]string{"keystone": "2:22.0.0-2", "glance-api": "2:25.1.0-2", "python3-uwsgi": "1"}},
		Target: report.Side{Release: "2025.1", Branch: "stable/2025.1", Suite: "trixie",
			Packages: map[string]string{"keystone": "2:27.0.0-3", "glance-api": "2:30.0.0-3", "python3-uwsgi": "1"}},
		Notes: []string{"upstream does not support zed -> 2025.1; nova's skip-release workaround is on", "nova: unit a is new\nnova: unit b is new"},
		Timings: slices.Values([]report.Timing{
			{Name: "roots from cache", Kind: report.Roots, Duration: 300 * time.Millisecond},
			{Name: "systemd ready", Kind: report.Boot, Duration: 1400 * time.Millisecond},
			{Name: "stack.sh", Kind: report.StackSh, Duration: 41 * time.Second},
			{Name: "upgrade.sh", Kind: report.Script, Phase: "upgrade", Project: "glance", Duration: 11 * time.Second},
			{Name: "plan", Kind: report.Other, Duration: 40 * time.Millisecond},
		}),
		Evidence: []report.Evidence{
			{Project: "keystone", Unit: "keystone.service", Upgraded: true,
				Before: []report.Process{{PID: 211, Start: 4711, Exe: "/usr/bin/uwsgi-core", Root: "/", Package: "keystone", Version: "2:22.0.0-2"}},
				After: []report.Process{
					{PID: 901, Start: 91200, Exe: "/usr/bin/uwsgi-core", Root: "/opt/stack/new/root", Package: "keystone", Version: "2:27.0.0-3"},
					{PID: 907, Start: 91240, Exe: "/usr/bin/uwsgi-core", Root: "/opt/stack/new/root", Package: "keystone", Version: "2:27.0.0-3"},
				}},
			{Project: "glance", Unit: "glance-api.service", Upgraded: true,
				Before: []report.Process{{PID: 230, Start: 5100, Exe: "/usr/bin/python3.11", Root: "/", Package: "glance-api", Version: "2:25.1.0-2"}},
				After:  []report.Process{{PID: 950, Start: 93000, Exe: "/usr/bin/python3.13", Root: "/opt/stack/new/root", Package: "glance-api", Version: "2:30.0.0-3"}}},
		},
	}
	at := begin()
	var rows []report.Row
	for i, phase := range phases() {
		if phase == "upgrade" || phase == "shutdown" || phase == "destroy" {
			rows = append(rows, row(phase, "cloud", 900*time.Millisecond, at))
		}
		for j, project := range projects() {
			took := time.Duration(i+1)*400*time.Millisecond + time.Duration(j)*130*time.Millisecond
			rows = append(rows, row(phase, project, took, at))
			at = at.Add(took)
		}
	}
	r.Rows = slices.Values(rows)
	set(&r, "early_create", "glance", func(row *report.Row) {
		row.Outcome, row.Reason, row.Duration, row.Log = report.NotChecked, "resources.sh does nothing for it", 0, ""
	})
	return r
}

func row(phase, project string, took time.Duration, at time.Time) report.Row {
	return report.Row{
		Phase: phase, Project: project, Outcome: report.Passed, Started: at, Duration: took,
		Log: filepath.Join("logs", strings.ReplaceAll(phase, " ", "_"), project+".log"),
	}
}

// red is the same run with a glance that does not come back.
func red() report.Report {
	r := green()
	set(&r, "upgrade", "glance", func(row *report.Row) {
		row.Outcome, row.Duration = report.Failed, 121300*time.Millisecond
		row.Failure = &report.Failure{
			Message:  "glance-api does not answer after the upgrade",
			Expected: "HTTP 300 from http://10.99.0.2:9292/ within 2m0s",
			Seen:     "HTTP 503 <html><b>Service Unavailable</b>",
			Tail:     []string{"+ start_glance", "ERROR glance.common.wsgi \x1b[31m[-]\x1b[0m Could not bind to & <0.0.0.0:9292>", "\tTraceback:\x07", "++ die 112 'g-api did not start'"},
			Log:      "logs/upgrade/glance.log",
		}
	})
	set(&r, "verify post-upgrade", "glance", blocked)
	set(&r, "verify_target", "glance", blocked)
	set(&r, "destroy", "glance", func(row *report.Row) {
		row.Outcome, row.Consequence = report.Failed, true
		row.Failure = &report.Failure{Expected: "image to be gone", Seen: "connection refused"}
	})
	r.Evidence[1].Upgraded, r.Evidence[1].After, r.Evidence[1].Reason = false, nil, "no process after the upgrade"
	return r
}

func blocked(row *report.Row) {
	row.Outcome, row.Reason, row.Duration, row.Log = report.Blocked, "upgrade of glance failed", 0, ""
}

// setupFailed is a run whose BeforeSuite failed: rows are the bare plan.
func setupFailed() report.Report {
	r := green()
	rows := slices.Collect(r.Rows)
	for i := range rows {
		rows[i] = report.Row{Phase: rows[i].Phase, Project: rows[i].Project}
	}
	r.Rows = slices.Values(rows)
	r.Evidence, r.Timings = nil, nil
	r.Setup = &report.Row{
		Phase: "setup", Project: "cloud", Outcome: report.Failed, Duration: 12 * time.Second,
		Failure: &report.Failure{Message: "stack.sh failed", Expected: "exit 0", Seen: "exit 1", Tail: []string{"no space left"}},
	}
	return r
}

func set(r *report.Report, phase, project string, change func(*report.Row)) {
	rows := slices.Collect(r.Rows)
	for i := range rows {
		if rows[i].Phase == phase && rows[i].Project == project {
			change(&rows[i])
			r.Rows = slices.Values(rows)
			return
		}
	}
	panic("no row " + phase + "/" + project)
}

// results makes a results directory with a log for each row that has one.
func results(t *testing.T, r report.Report) string {
	t.Helper()
	dir := t.TempDir()
	for row := range r.Rows {
		if row.Log == "" {
			continue
		}
		path := filepath.Join(dir, row.Log)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("output of "+row.Name()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// listed is a report that can be compared.
type listed struct {
	report.Report
	Rows    []report.Row
	Timings []report.Timing
}

func held(r report.Report) listed {
	all := listed{Report: r}
	if r.Rows != nil {
		all.Rows = slices.Collect(r.Rows)
	}
	all.Timings = slices.Collect(r.EachTiming())
	all.Report.Rows, all.Report.Timings = nil, nil
	return all
}
