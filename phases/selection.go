package phases

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"grenade/framework/config"
)

// Scope is how much of a run a selection asks for.
type Scope string

// The scopes. What each does to a run that is there already is in DESIGN,
// "What a selection does to a run".
const (
	// WholeRun goes from a new base cloud to its destruction.
	WholeRun Scope = "whole run"
	// BaseSide builds the cloud and stops before the upgrade.
	BaseSide Scope = "base"
	// TargetSide goes on from a cloud that BaseSide left.
	TargetSide Scope = "target"
	// OnePhase runs one phase again on the cloud that is there.
	OnePhase Scope = "one phase"
)

// ErrSelectsNothing means that the label filter matches no row of the plan.
var ErrSelectsNothing = errors.New("selects nothing")

// Selection is what a label filter makes of the plan.
type Selection struct {
	// Asked is the user's filter, as given.
	Asked string
	Scope Scope
	// Rows are the rows to run, in calling order: those that the filter
	// matches and those that a run needs beside them.
	Rows []Row
	// Projects are the projects that the filter names, in upgrade order.
	Projects []string
	// Closure is Projects and all that they require: what the cloud holds.
	Closure []string

	asked byRow[bool]
}

// Requirements answers which projects a project needs, itself included, in
// upgrade order.
type Requirements func(projects []string) ([]string, error)

// Dependencies are what projects need of each other.
type Dependencies struct {
	Requires Requirements
	// UpgradesAfter answers which projects must be upgraded before a project is.
	UpgradesAfter func(project string) ([]string, error)
}

// Select picks the rows whose labels match, and adds the rows that
// the selection needs: with a project that is upgraded, the same rows of those that
// must be upgraded before it; for whole projects early_create and destroy of all that
// they require, for the base side only early_create, for the target side only
// destroy, for one phase nothing; and the cloud row of every phase that keeps
// a row. The filter is what the user wrote, for messages.
func (p Plan) Select(filter string, matches func(labels []string) bool, needs Dependencies) (Selection, error) {
	selection := Selection{Asked: filter, asked: byRow[bool]{}}
	names := map[string]bool{}
	sides := map[config.Side]bool{}
	projects := map[string]bool{}
	for _, row := range p.Rows {
		if !matches(row.Labels()) {
			continue
		}
		selection.asked.put(row.Key(), true)
		names[row.Phase.Name] = true
		sides[row.Phase.Side] = true
		projects[row.Project] = true
	}
	if len(selection.asked) == 0 {
		return Selection{}, fmt.Errorf("label filter %q %w; projects are %s, phases are %s, sides are base and target",
			filter, ErrSelectsNothing, strings.Join(p.Projects(), " "), strings.Join(phaseNames(), " "))
	}
	switch {
	case len(names) == 1:
		selection.Scope = OnePhase
	case !sides[config.Target]:
		selection.Scope = BaseSide
	case !sides[config.Base]:
		selection.Scope = TargetSide
	default:
		selection.Scope = WholeRun
	}
	if selection.Scope != OnePhase {
		if err := p.addForerunners(selection, projects, needs); err != nil {
			return Selection{}, err
		}
	}
	for _, project := range p.Projects() {
		if projects[project] {
			selection.Projects = append(selection.Projects, project)
		}
	}
	var err error
	if selection.Closure, err = needs.Requires(selection.Projects); err != nil {
		return Selection{}, fmt.Errorf("label filter %q: what %s require: %w", filter, strings.Join(selection.Projects, " "), err)
	}
	selection.Rows = p.complete(selection)
	return selection, nil
}

// addForerunners adds to the selected projects those that must be upgraded before
// them, with the rows that the filter matches of the project that needs it.
func (p Plan) addForerunners(selection Selection, projects map[string]bool, needs Dependencies) error {
	for _, project := range p.Projects() {
		if !projects[project] {
			continue
		}
		forerunners, err := needs.UpgradesAfter(project)
		if err != nil {
			return fmt.Errorf("what is upgraded before %s: %w", project, err)
		}
		for _, forerunner := range forerunners {
			for _, row := range p.Rows {
				if row.Project == forerunner && selection.asked.of(Row{Phase: row.Phase, Project: project}.Key()) {
					selection.asked.put(row.Key(), true)
					projects[forerunner] = true
				}
			}
		}
	}
	return nil
}

// complete adds to the rows that the filter matches those that it implies.
func (p Plan) complete(selection Selection) []Row {
	kept := func(row Row) bool { return selection.asked.of(row.Key()) || selection.implies(row) }
	phaseKept := map[string]bool{}
	for _, row := range p.Rows {
		if !phaseKept[row.Phase.ID] && kept(row) {
			phaseKept[row.Phase.ID] = true
		}
	}
	left := func(row Row) bool { return !kept(row) && (row.OfProject() || !phaseKept[row.Phase.ID]) }
	if !slices.ContainsFunc(p.Rows, left) {
		return p.Rows
	}
	return slices.DeleteFunc(slices.Clone(p.Rows), left)
}

// implies tells whether the selection needs the row although the filter does
// not match it.
func (s Selection) implies(row Row) bool {
	if !row.OfProject() || !slices.Contains(s.Closure, row.Project) {
		return false
	}
	switch row.Phase.ID {
	case EarlyCreate:
		return s.Scope == WholeRun || s.Scope == BaseSide
	case Destroy, Leaks:
		return s.Scope == WholeRun || s.Scope == TargetSide
	default:
		return false
	}
}

// AskedFor tells whether the user's own filter matches the row.
func (s Selection) AskedFor(row Row) bool { return s.asked.of(row.Key()) }

// LabelFilter returns the Ginkgo label filter that matches the selection's
// rows and no others.
func (s Selection) LabelFilter() string {
	phases := []string{}
	projects := map[string][]string{}
	for _, row := range s.Rows {
		if projects[row.Phase.ID] == nil {
			phases = append(phases, row.Phase.ID)
		}
		projects[row.Phase.ID] = append(projects[row.Phase.ID], row.Project)
	}
	terms := make([]string, 0, len(phases))
	for _, phase := range phases {
		terms = append(terms, fmt.Sprintf("(%s && (%s))", onlyPhase(phase), strings.Join(projects[phase], " || ")))
	}
	return strings.Join(terms, " || ")
}

// onlyPhase matches the rows of a phase and not those of others, one of whose labels may be this phase's name:
// leaks are destroy, too.
func onlyPhase(id string) string {
	terms := []string{id}
	for _, phase := range Sequence() {
		if phase.Name == id && phase.ID != id {
			terms = append(terms, "!"+phase.ID)
		}
	}
	return strings.Join(terms, " && ")
}

// NeedsCloud tells whether the selection goes on with a cloud that is there.
func (s Selection) NeedsCloud() bool { return s.Scope == TargetSide || s.Scope == OnePhase }

func phaseNames() []string {
	var names []string
	for _, phase := range Sequence() {
		if !slices.Contains(names, phase.Name) {
			names = append(names, phase.Name)
		}
	}
	return names
}
