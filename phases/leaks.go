package phases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"grenade/framework/config"
	"grenade/framework/report"
	"grenade/framework/tree"
	"grenade/resources"
	"grenade/resources/inventory"
)

// inventoryName is the file in SAVE_DIR with what was there before create.
const inventoryName = "inventory.json"

// vanishLimit is how long agents may take to remove from the node what the API
// has let go: a DHCP agent its namespace, nova-compute a directory.
const vanishLimit = time.Minute

// takeInventory writes down what the cloud holds before anything is created in
// it. A later attempt leaves what the first wrote: by then there are resources.
func (r *Run) takeInventory(ctx context.Context, row Row) error {
	if _, err := os.Stat(r.inventoryPath()); err == nil {
		return &resources.NotChecked{Reason: "what was there before create is written down already"}
	}
	before := map[string]inventory.Inventory{}
	for _, project := range r.Selection.Closure {
		if !slices.Contains(inventory.Projects(), project) {
			continue
		}
		r.progress.Waiting("what " + project + " holds")
		began := time.Now()
		held, err := inventory.Take(ctx, r.nativeCloud(row), project)
		if err != nil {
			return err
		}
		r.took(row, report.API, "inventory", began)
		before[project] = held
	}
	content, err := json.MarshalIndent(before, "", "  ")
	if err != nil {
		return fmt.Errorf("inventory: %w", err)
	}
	if err := os.WriteFile(r.inventoryPath()+".new", content, 0o600); err != nil {
		return fmt.Errorf("inventory: %w", err)
	}
	if err := os.Rename(r.inventoryPath()+".new", r.inventoryPath()); err != nil {
		return fmt.Errorf("inventory: %w", err)
	}
	return nil
}

func (r *Run) inventoryPath() string { return filepath.Join(r.Config.SaveDir, inventoryName) }

// leaks holds when the project's service holds nothing, and nothing of it is on
// the node, that was not there before create. All projects have been destroyed by
// then. The phase's cloud row saves the node's logs and removes the node itself.
func (r *Run) leaks(ctx context.Context, row Row) error {
	if row.Cloud() {
		return r.removeCloud(ctx)
	}
	before, err := r.heldBefore(row.Project)
	if err != nil {
		return err
	}
	limit := vanishLimit
	if r.destroyFailed() {
		// What was not removed does not vanish.
		limit = time.Second
	}
	began := time.Now()
	defer func() { r.took(row, report.API, "inventory", began) }()
	left := r.leftByPlugins()
	var leaks []string
	err = resources.WaitFor(ctx, resources.Wait{Object: "what " + row.Project + " holds", Limit: limit, Every: time.Second},
		func(ctx context.Context) (resources.Progress, error) {
			now, err := inventory.Take(ctx, r.nativeCloud(row), row.Project)
			if err != nil {
				return resources.Progress{}, err
			}
			leaks = inventory.Leaks(before, now, left...)
			return resources.Progress{Done: len(leaks) == 0, Status: strings.Join(leaks, ", ")}, nil
		})
	if len(leaks) > 0 {
		return &Unmet{
			What: fmt.Sprintf("something is left in %s after destroy", row.Project),
			Want: "nothing that was not there before create",
			Saw:  strings.Join(leaks, "\n"),
		}
	}
	return err
}

// heldBefore returns what the project's service held before create. Where that is
// not known, nothing can be checked.
func (r *Run) heldBefore(project string) (inventory.Inventory, error) {
	content, err := os.ReadFile(r.inventoryPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &resources.NotChecked{Reason: "no run has written down what was there before create"}
	}
	if err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	var before map[string]inventory.Inventory
	if err := json.Unmarshal(content, &before); err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	held, taken := before[project]
	if !taken {
		return nil, &resources.NotChecked{Reason: "what " + project + " holds is not known to the inventory"}
	}
	return held, nil
}

// leftByPlugins is what the plugins of the selected projects are known to leave
// behind, in whatever service.
func (r *Run) leftByPlugins() []tree.Leftover {
	var left []tree.Leftover
	for _, project := range r.Selection.Projects {
		if service, known := r.cloud.Service(project, config.Target); known {
			left = append(left, service.Leaves...)
		}
	}
	return left
}

func (r *Run) destroyFailed() bool {
	return slices.ContainsFunc(r.Selection.Closure, func(project string) bool {
		outcome, _ := r.Ledger.Outcome(Destroy, project)
		return outcome == report.Failed
	})
}

// removeCloud ends the run: it saves the node's logs and removes the node.
func (r *Run) removeCloud(ctx context.Context) error {
	if err := r.cloud.CollectLogs(ctx, filepath.Join(r.ResultsDir(), "logs", "node")); err != nil {
		r.Note("the node's logs could not be saved: %v", err)
	}
	if err := r.cloud.Dispose(ctx); err != nil {
		return fmt.Errorf("remove the cloud: %w", err)
	}
	if r.foreign != nil && r.destroyFailed() {
		// The run is not finished: who comes next removes what this one could not.
		return &resources.NotChecked{Reason: "the cloud is somebody else's, and stays, and so does what could not be removed from it: make clean tries again"}
	}
	if err := r.journal.Record(Event{Kind: EventRun, State: StateFinished}); err != nil {
		return err
	}
	if r.foreign != nil {
		return &resources.NotChecked{Reason: "the cloud is somebody else's, and stays"}
	}
	return nil
}
