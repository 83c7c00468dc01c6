package report

import (
	"maps"
	"slices"
)

// Merge puts a later report of the same run (a single phase, run again on the
// cloud that is there) into an earlier one: its rows replace those of the same
// phase and project, others are added after the last row of their phase.
func Merge(earlier, later Report) Report {
	merged := earlier
	rows := slices.Collect(orNone(earlier.Rows))
	for row := range orNone(later.Rows) {
		rows = place(rows, row)
	}
	merged.Rows = slices.Values(rows)
	if later.RunID != "" {
		merged.RunID = later.RunID
	}
	if merged.Started.IsZero() {
		merged.Started = later.Started
	}
	if later.Finished.After(merged.Finished) {
		merged.Finished = later.Finished
	}
	merged.Base = mergeSide(earlier.Base, later.Base)
	merged.Target = mergeSide(earlier.Target, later.Target)
	if later.Setup != nil {
		merged.Setup = later.Setup
	}
	merged.Notes = slices.Clone(earlier.Notes)
	for _, note := range later.Notes {
		if !slices.Contains(merged.Notes, note) {
			merged.Notes = append(merged.Notes, note)
		}
	}
	if len(later.Plugins) > 0 {
		merged.Plugins = later.Plugins
	}
	merged.Timings = slices.Values(mergeTimings(earlier, later))
	merged.Evidence = mergeEvidence(earlier.Evidence, later.Evidence)
	merged.Continuity = append(slices.Clone(earlier.Continuity), later.Continuity...)
	merged.PeakMemory = max(earlier.PeakMemory, later.PeakMemory)
	if later.Redact != nil {
		merged.Redact = later.Redact
	}
	// What ended the earlier run is over; the later one's end is this one's.
	merged.ExitCode = later.ExitCode
	if later.ExitCode == Green || later.ExitCode == Red {
		merged.ExitCode = Green
		merged.ExitCode, _ = ExitCode(merged)
	}
	return merged
}

func place(rows []Row, row Row) []Row {
	after := -1
	for i, old := range rows {
		if old.Phase == row.Phase && old.Project == row.Project {
			rows[i] = row
			return rows
		}
		if old.Phase == row.Phase {
			after = i
		}
	}
	if after < 0 {
		return append(rows, row)
	}
	return slices.Insert(rows, after+1, row)
}

func mergeSide(earlier, later Side) Side {
	merged := earlier
	if later.Release != "" {
		merged.Release, merged.Branch, merged.Suite = later.Release, later.Branch, later.Suite
	}
	if len(later.Packages) > 0 {
		merged.Packages = maps.Clone(earlier.Packages)
		if merged.Packages == nil {
			merged.Packages = map[string]string{}
		}
		maps.Copy(merged.Packages, later.Packages)
	}
	return merged
}

// mergeTimings drops the times of rows that were run again.
func mergeTimings(earlier, later Report) []Timing {
	again := map[[2]string]bool{}
	for row := range orNone(later.Rows) {
		again[[2]string{row.Phase, row.Project}] = true
	}
	var all []Timing
	for t := range earlier.EachTiming() {
		if !again[[2]string{t.Phase, t.Project}] {
			all = append(all, t)
		}
	}
	return slices.AppendSeq(all, later.EachTiming())
}

// mergeEvidence keeps what the earlier run saw before the upgrade when the later
// one only saw what came after.
func mergeEvidence(earlier, later []Evidence) []Evidence {
	all := slices.Clone(earlier)
	for _, e := range later {
		i := slices.IndexFunc(all, func(old Evidence) bool { return old.Project == e.Project && old.Unit == e.Unit })
		if i < 0 {
			all = append(all, e)
			continue
		}
		if len(e.Before) == 0 {
			e.Before = all[i].Before
		}
		all[i] = e
	}
	return all
}
