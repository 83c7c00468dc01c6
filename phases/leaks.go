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

	"grenade/framework/report"
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

// leaks holds when the project's service holds nothing that was not there
// before create. Destroy works from the last project to the first, so whoever
// made something in this service has destroyed it by now. Where that failed,
// nothing is waited for.
func (r *Run) leaks(ctx context.Context, row Row, destroyed error) error {
	content, err := os.ReadFile(r.inventoryPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was created, or not by a run of ours
	}
	if err != nil {
		return fmt.Errorf("inventory: %w", err)
	}
	var before map[string]inventory.Inventory
	if err := json.Unmarshal(content, &before); err != nil {
		return fmt.Errorf("inventory: %w", err)
	}
	held, taken := before[row.Project]
	if !taken {
		return nil
	}
	var leaks []string
	began := time.Now()
	defer func() { r.took(row, report.API, "inventory", began) }()
	limit := vanishLimit
	var nothing *resources.NotChecked
	if destroyed != nil && !errors.As(destroyed, &nothing) {
		limit = time.Second
	}
	err = resources.WaitFor(ctx, resources.Wait{Object: "what " + row.Project + " holds", Limit: limit, Every: time.Second},
		func(ctx context.Context) (resources.Progress, error) {
			now, err := inventory.Take(ctx, r.nativeCloud(row), row.Project)
			if err != nil {
				return resources.Progress{}, err
			}
			leaks = inventory.Leaks(held, now)
			return resources.Progress{Done: len(leaks) == 0, Status: strings.Join(leaks, ", ")}, nil
		})
	if len(leaks) > 0 {
		return &Unmet{
			What: fmt.Sprintf("destroy left something behind in %s", row.Project),
			Want: "nothing that was not there before create",
			Saw:  strings.Join(leaks, "\n"),
		}
	}
	return err
}
