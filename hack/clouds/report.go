package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// phaseOf is the phase of the table that a row of ours belongs to. Phases that upstream
// does not have are further.
func phaseOf(phase, project string) string {
	if phase == "upgrade" && project == "cloud" {
		return prepare
	}
	known := map[string]string{
		"early_create": early, "create": create, "verify-pre-upgrade": verify, "snapshot": save, "shutdown": shutdown,
		"verify_noapi-pre-upgrade": noAPI, "upgrade": upgrade, "verify-post-upgrade": verified, "destroy": destroy,
	}
	if name, is := known[phase]; is {
		return name
	}
	return further
}

// span is a stretch of time.
type span struct{ from, to time.Time }

func (s span) length() time.Duration { return s.to.Sub(s.from) }

// widened is the stretch from the beginning of one to the end of the other.
func (s span) widened(other span) span {
	if s.from.IsZero() || other.from.Before(s.from) {
		s.from = other.from
	}
	if other.to.After(s.to) {
		s.to = other.to
	}
	return s
}

// union is how long any of them lasted.
func union(spans []span) time.Duration {
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	var sum time.Duration
	var end time.Time
	for _, one := range spans {
		if one.from.Before(end) {
			one.from = end
		}
		if one.to.After(one.from) {
			sum += one.length()
			end = one.to
		}
	}
	return sum
}

// readReport reads how long the rows of a run of ours took, and what of it native
// checks. What lies between rows is further.
func readReport(results string) (times, error) {
	content, err := os.ReadFile(filepath.Join(results, "report.json"))
	if err != nil {
		return times{}, fmt.Errorf("the run's times: %w", err)
	}
	type stretch struct {
		Phase, Project, Name, Kind string
		Started                    time.Time
		Duration                   time.Duration `json:"duration_ns"`
	}
	var report struct{ Rows, Timings []stretch }
	if err := json.Unmarshal(content, &report); err != nil {
		return times{}, fmt.Errorf("the run's times: %w", err)
	}
	spans := map[string]span{}
	var whole span
	for _, row := range report.Rows {
		if row.Started.IsZero() {
			continue
		}
		took := span{row.Started, row.Started.Add(row.Duration)}
		whole = whole.widened(took)
		if phase := phaseOf(row.Phase, row.Project); phase != further {
			spans[phase] = spans[phase].widened(took)
		}
	}
	seen := times{Whole: whole.length(), Phases: map[string]time.Duration{further: whole.length()}, Native: map[string]time.Duration{}}
	for phase, took := range spans {
		seen.Phases[phase] = took.length()
		seen.Phases[further] -= took.length()
	}
	// By phase: what native checks took beside scripts is the scripts'.
	scripts, all := map[string][]span{}, map[string][]span{}
	for _, timing := range report.Timings {
		took := span{timing.Started, timing.Started.Add(timing.Duration)}
		phase := phaseOf(timing.Phase, timing.Project)
		switch timing.Kind {
		case "script":
			scripts[phase] = append(scripts[phase], took)
			all[phase] = append(all[phase], took)
		case "api":
			all[phase] = append(all[phase], took)
		}
	}
	for phase := range all {
		if native := union(all[phase]) - union(scripts[phase]); native > 0 {
			seen.Native[phase] = native
		}
	}
	return seen, nil
}
