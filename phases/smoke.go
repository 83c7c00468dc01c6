package phases

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"grenade/framework/config"
	"grenade/framework/report"
	"grenade/resources"
)

// smoke runs the smoke set of the side's Tempest, and holds when none of its
// tests failed. Each of them is in the report.
func (r *Run) smoke(ctx context.Context, row Row, side config.Side) error {
	switched := r.settings.BaseRunSmoke
	if side == config.Target {
		switched = r.settings.TargetRunSmoke
	}
	if switched == "False" {
		return &resources.NotChecked{Reason: "a plugin's settings file turned Tempest's smoke set off"}
	}
	results := filepath.Join(r.Config.SaveDir, "tempest-"+string(side)+".xml")
	if err := os.Remove(results); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("results of an earlier Tempest: %w", err)
	}
	began := time.Now()
	ended := r.trees.Smoke(ctx, side, results, r.LogFile(row.Phase.ID, row.Project), r.progress.Waiting)
	r.took(row, report.Script, "tempest", began)
	tests, err := report.ReadTests(results)
	if err != nil {
		return errors.Join(ended, fmt.Errorf("results of Tempest: %w", err))
	}
	r.mu.Lock()
	r.tests[row.Key()] = tests
	r.mu.Unlock()
	var failed []string
	passed := 0
	for _, test := range tests {
		switch test.Outcome {
		case report.Failed:
			failed = append(failed, test.Class+"."+test.Name)
		case report.Passed:
			passed++
		default:
		}
	}
	switch {
	case len(failed) > 0:
		return &Unmet{
			What: fmt.Sprintf("%d of %d tests of Tempest's smoke set failed on the %s release", len(failed), len(tests), side),
			Want: "none",
			Saw:  strings.Join(failed, "\n"),
		}
	case ended != nil:
		return ended
	case passed == 0:
		return &Unmet{What: "Tempest's smoke set passed without a test", Want: "tests", Saw: fmt.Sprintf("%d tests, all skipped", len(tests))}
	}
	return nil
}
