package phases

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"grenade/framework/config"
	"grenade/framework/report"
	"grenade/plugins"
)

// stateName is the file in SAVE_DIR with what a later process needs to go on
// with the run.
const stateName = "run.json"

// state is what the run remembers beside the journal.
type state struct {
	ID       string           `json:"id"`
	Settings plugins.Settings `json:"settings"`
	Evidence Evidence         `json:"evidence"`
	Notes    []string         `json:"notes"`
	Closure  []string         `json:"closure"`
	// Plugins are those of other repositories, as the run began with them.
	Plugins []report.Plugin `json:"plugins,omitempty"`
}

// saveState writes the state, whole or not at all.
func (r *Run) saveState() error {
	r.mu.Lock()
	saved := state{ID: r.ID, Settings: r.settings, Evidence: r.evidence, Notes: r.notes, Closure: r.Selection.Closure}
	for _, plugin := range r.fetched {
		saved.Plugins = append(saved.Plugins, plugin.Reported())
	}
	content, err := json.MarshalIndent(saved, "", "  ")
	r.mu.Unlock()
	if err != nil {
		return fmt.Errorf("state of the run: %w", err)
	}
	path := filepath.Join(r.Config.SaveDir, stateName)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return fmt.Errorf("state of the run: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("state of the run: %w", err)
	}
	return nil
}

// loadState takes over what an earlier process of the run saved, and its
// report.
func (r *Run) loadState() error {
	content, err := os.ReadFile(filepath.Join(r.Config.SaveDir, stateName))
	if err != nil {
		return fmt.Errorf("state of the run: its setup did not get far enough to go on with it: %w", err)
	}
	var saved state
	if err := json.Unmarshal(content, &saved); err != nil {
		return fmt.Errorf("state of the run: %w", err)
	}
	earlier, err := r.earlierReport()
	if err != nil {
		return fmt.Errorf("report of the run so far: %w", err)
	}
	r.remember(saved, earlier)
	for _, change := range changedPlugins(saved.Plugins, r.fetched) {
		r.Note("%s", change)
	}
	return nil
}

func (r *Run) remember(saved state, earlier report.Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settings, r.evidence, r.notes = saved.Settings, saved.Evidence, saved.Notes
	if r.evidence == nil {
		r.evidence = Evidence{}
	}
	r.earlier = &earlier
	for row := range earlier.EachRow() {
		r.retain(Key{Phase: row.Phase, Project: row.Project}, row)
	}
}

// changedPlugins says which plugins are no longer what the run began with.
func changedPlugins(before []report.Plugin, now []plugins.Fetched) []string {
	var changes []string
	for _, plugin := range now {
		for _, old := range before {
			if is := plugin.Reported(); old.Name == is.Name && old.Version() != is.Version() {
				changes = append(changes, fmt.Sprintf("plugin %s was %s when the run began, and is %s now", is.Name, old.Version(), is.Version()))
			}
		}
	}
	return changes
}

// earlierReport is the report that the run has written so far, an empty one
// when it was killed before it could.
func (r *Run) earlierReport() (report.Report, error) {
	file, err := os.Open(filepath.Join(r.ResultsDir(), report.JSONFile))
	if errors.Is(err, fs.ErrNotExist) {
		return report.Report{}, nil
	}
	if err != nil {
		return report.Report{}, fmt.Errorf("open it: %w", err)
	}
	defer file.Close()
	return report.ReadJSON(file)
}

// Previous is what the journal in SAVE_DIR says of the run before.
type Previous struct {
	// ID is the run's name.
	ID string
	// Finished tells that its cloud is gone.
	Finished bool
	// PID is the process that drove it last.
	PID int
	// Tree is its GRENADE_TREE.
	Tree config.Tree
}

// InACloudOfYours tells whether things that it made may still be in a cloud that is not ours to remove.
func (p *Previous) InACloudOfYours() bool {
	return p != nil && !p.Finished && p.Tree == config.OwnCloud
}

// PreviousRun returns the run that the journal in saveDir is about, nil when
// there is none.
func PreviousRun(saveDir string) (*Previous, error) {
	events, err := ReadJournal(saveDir)
	if err != nil || len(events) == 0 {
		return nil, err
	}
	previous := &Previous{}
	for _, event := range events {
		if event.Kind != EventRun {
			continue
		}
		previous.ID = event.Run
		switch event.State {
		case StateStarted:
			previous.PID, previous.Tree, previous.Finished = event.PID, event.Tree, false
		case StateFinished:
			previous.Finished = true
		}
	}
	return previous, nil
}
