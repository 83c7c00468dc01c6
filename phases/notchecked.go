package phases

import (
	"slices"

	"grenade/framework/config"
	"grenade/framework/report"
	"grenade/resources"
)

// notChecked returns why the row is not to be checked at all, or nothing.
func (r *Run) notChecked(row Row) string {
	switch {
	case r.settings.Dropped[row.Project] != "":
		return "dropped by " + r.settings.Dropped[row.Project]
	case !r.Config.VerifyResources && isResourcePhase(row.Phase):
		return "VERIFY_RESOURCES is off"
	case r.settingsTurnedOff(r.settings.VerifyResources) && isResourcePhase(row.Phase):
		return "a plugin's settings file turned VERIFY_RESOURCES off"
	case row.Phase.ID == Leaks && !row.Cloud():
		return r.undestroyed()
	case row.Phase.Removes():
		return r.kept(row)
	case r.Selection.Scope == OnePhase:
		return r.wrongStage(row)
	default:
		return ""
	}
}

// settingsTurnedOff tells whether a switch stands at off at the end of the
// settings, which find it on. Upstream takes everything but True for off.
func (r *Run) settingsTurnedOff(value string) bool {
	loaded := len(r.settings.Order) > 0
	return loaded && !slices.Contains([]string{"True", "true", "TRUE", "yes", "Yes", "YES", "1"}, value)
}

// wrongStage says, when one phase is asked for, that a verify row belongs to
// another time of the project's upgrade than the one the cloud is in.
func (r *Run) wrongStage(row Row) string {
	upgraded := r.Ledger.Passed(UpgradePhase, row.Project)
	switch {
	case row.Phase.ID == VerifyPreUpgrade && !upgraded && r.Ledger.Passed(Shutdown, row.Project):
		return row.Project + " is shut down; verify_noapi is for that"
	case row.Phase.Stage == resources.PreUpgrade && upgraded:
		return row.Project + " is upgraded already"
	case row.Phase.Stage == resources.PostUpgrade && !upgraded:
		return row.Project + " is not upgraded yet"
	default:
		return ""
	}
}

// kept says why the row's resources, or the cloud, stay.
func (r *Run) kept(row Row) string {
	if r.Selection.Scope == OnePhase {
		if row.Cloud() && !r.Selection.AskedFor(row) {
			return "kept: only one project's destroy was asked for"
		}
		return ""
	}
	failed := r.Ledger.Red()
	if !row.Cloud() {
		_, failed = r.Ledger.FailedAt(row.Project)
	}
	switch {
	case r.Config.Keep == config.KeepAlways:
		return "kept: KEEP=always"
	case r.Config.Keep == config.KeepOnFailure && failed:
		return "kept: KEEP=on-failure"
	default:
		return ""
	}
}

// undestroyed says why it cannot be known yet what destroy leaves: some project's
// resources are there still, and may lie in any other's service.
func (r *Run) undestroyed() string {
	for _, project := range r.Selection.Closure {
		destroy := Row{Phase: &Phase{ID: Destroy}, Project: project}
		outcome, ran := r.Ledger.Outcome(Destroy, project)
		switch reason := r.kept(destroy); {
		case ran && outcome == report.NotChecked && reason != "":
			return reason
		case !ran && r.Plan.Has(destroy):
			return project + " has not been destroyed"
		}
	}
	return ""
}

func isResourcePhase(phase *Phase) bool {
	switch phase.ID {
	case EarlyCreate, Create, VerifyPreUpgrade, VerifyNoAPI, VerifyPostUpgrade:
		return true
	default:
		return false
	}
}
