package phases

import (
	"slices"

	"grenade/plugins"
)

// Row is one line of the plan: one phase for one project, or for the cloud.
type Row struct {
	Phase *Phase
	// Project is the project's name, CloudProject or TempestProject.
	Project string
}

// Key tells rows apart.
func (r Row) Key() Key { return Key{Phase: r.Phase.ID, Project: r.Project} }

// Key is a row's phase, by its ID, and its project.
type Key struct{ Phase, Project string }

// String is how people read it: "create/nova".
func (k Key) String() string { return k.Phase + "/" + k.Project }

// Cloud tells whether the row is the phase's cloud-wide work.
func (r Row) Cloud() bool { return r.Project == CloudProject }

// Tempest tells whether the row runs Tempest's smoke set.
func (r Row) Tempest() bool { return r.Project == TempestProject }

// OfProject tells whether the row belongs to a project.
func (r Row) OfProject() bool { return !r.Cloud() && !r.Tempest() }

// Labels returns what a label filter sees of the row: its project, its phase,
// its side, and the stage where the phase has one.
func (r Row) Labels() []string {
	labels := []string{r.Project, r.Phase.Name, string(r.Phase.Side)}
	if r.Phase.Stage != "" {
		labels = append(labels, string(r.Phase.Stage))
	}
	if r.Phase.ID != r.Phase.Name {
		labels = append(labels, r.Phase.ID)
	}
	return labels
}

// Plan is every row that a full run has, in calling order, known before there
// is a root or a cloud.
type Plan struct {
	Rows    []Row
	Plugins []plugins.Plugin
}

// NewPlan lays out the rows for the plugins, which are in upgrade order. Tempest
// runs at the end of the phases that are named in smoke.
func NewPlan(found []plugins.Plugin, smoke ...string) Plan {
	plan := Plan{Plugins: found}
	for _, phase := range Sequence() {
		projects := make([]string, 0, len(found))
		for _, plugin := range found {
			projects = append(projects, plugin.Project)
		}
		if phase.Reversed {
			slices.Reverse(projects)
		}
		switch phase.CloudRow {
		case CloudRowFirst:
			projects = append([]string{CloudProject}, projects...)
		case CloudRowLast:
			projects = append(projects, CloudProject)
		case NoCloudRow:
		}
		if slices.Contains(smoke, phase.ID) {
			projects = append(projects, TempestProject)
		}
		for _, project := range projects {
			plan.Rows = append(plan.Rows, Row{Phase: phase, Project: project})
		}
	}
	return plan
}

// Projects returns the projects' names in upgrade order.
func (p Plan) Projects() []string {
	names := make([]string, 0, len(p.Plugins))
	for _, plugin := range p.Plugins {
		names = append(names, plugin.Project)
	}
	return names
}

// Plugin returns the plugin that registers the project.
func (p Plan) Plugin(project string) (plugins.Plugin, bool) {
	for _, plugin := range p.Plugins {
		if plugin.Project == project {
			return plugin, true
		}
	}
	return plugins.Plugin{}, false
}

// Has tells whether the row is among the plan's.
func (p Plan) Has(row Row) bool {
	return slices.ContainsFunc(p.Rows, func(other Row) bool { return other.Key() == row.Key() })
}

// Of returns the rows of one phase, in calling order.
func (p Plan) Of(phaseID string) []Row {
	var rows []Row
	for _, row := range p.Rows {
		if row.Phase.ID == phaseID {
			rows = append(rows, row)
		}
	}
	return rows
}
