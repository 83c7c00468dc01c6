package phases

import (
	"slices"

	"grenade/framework/config"
	"grenade/resources"
)

// Phase is one step of the upgrade, the same for every project.
type Phase struct {
	// ID is unique: it names the phase in the journal, in JUnit and in the
	// log directory, for example "verify-pre-upgrade".
	ID string
	// Name is the phase's name in the seed, for example "verify". Two phases
	// share it where the seed calls one step twice.
	Name string
	// Stage is set on the phases that the seed calls with an argument.
	Stage resources.Stage
	// Side says which half of the run the phase belongs to.
	Side config.Side
	// Reversed phases walk the projects from the last to the first, so that
	// nobody loses a service that it still needs.
	Reversed bool
	// ReadOnly phases change nothing, so their rows run side by side.
	ReadOnly bool
	// CloudRow says where the phase's cloud-wide work stands, if it has any.
	CloudRow CloudRow
}

// Removes tells whether the phase is part of what the seed calls destroy.
func (p *Phase) Removes() bool { return p.ID == Destroy || p.ID == Leaks }

// CloudRow is the place of a phase's cloud-wide work among its rows.
type CloudRow int

// The places that a cloud row can have.
const (
	NoCloudRow CloudRow = iota
	CloudRowFirst
	CloudRowLast
)

// CloudProject is the name that cloud-wide rows bear in place of a project's,
// so that no project is blamed for what they do.
const CloudProject = "cloud"

// TempestProject is the name that rows bear which run Tempest's smoke set.
const TempestProject = "tempest"

// SetupRow names BeforeSuite in the journal and in the report.
const SetupRow = "setup"

// The phases' identifiers, in the seed's order.
const (
	VerifyBase        = "verify_base"
	EarlyCreate       = "early_create"
	Create            = "create"
	VerifyPreUpgrade  = "verify-pre-upgrade"
	Shutdown          = "shutdown"
	Snapshot          = "snapshot"
	VerifyNoAPI       = "verify_noapi-pre-upgrade"
	UpgradePhase      = "upgrade"
	VerifyPostUpgrade = "verify-post-upgrade"
	VerifyTarget      = "verify_target"
	Destroy           = "destroy"
	// Leaks is the end of what the seed calls destroy: it judges what all projects'
	// destroys together have left, since one's resources lie in another's service.
	Leaks = "leaks"
)

// Sequence returns the phases in the seed's calling order. Setup is not among
// them: it is BeforeSuite, and has no row of its own.
func Sequence() []*Phase {
	return []*Phase{
		{ID: VerifyBase, Name: "verify_base", Side: config.Base, ReadOnly: true},
		{ID: EarlyCreate, Name: "early_create", Side: config.Base, CloudRow: CloudRowFirst},
		{ID: Create, Name: "create", Side: config.Base},
		{ID: VerifyPreUpgrade, Name: "verify", Stage: resources.PreUpgrade, Side: config.Base, ReadOnly: true},
		{ID: Shutdown, Name: "shutdown", Side: config.Base, Reversed: true, CloudRow: CloudRowFirst},
		{ID: Snapshot, Name: "snapshot", Side: config.Base},
		{ID: VerifyNoAPI, Name: "verify_noapi", Stage: resources.PreUpgrade, Side: config.Base, ReadOnly: true},
		{ID: UpgradePhase, Name: "upgrade", Side: config.Target, CloudRow: CloudRowFirst},
		{ID: VerifyPostUpgrade, Name: "verify", Stage: resources.PostUpgrade, Side: config.Target, ReadOnly: true},
		{ID: VerifyTarget, Name: "verify_target", Side: config.Target, ReadOnly: true, CloudRow: CloudRowFirst},
		{ID: Destroy, Name: "destroy", Side: config.Target, Reversed: true},
		{ID: Leaks, Name: "destroy", Side: config.Target, ReadOnly: true, CloudRow: CloudRowLast},
	}
}

// phaseCount is how many phases the sequence has.
const phaseCount = 12

// position is the phase's place in the sequence, -1 for none. It is asked very often.
func position(phaseID string) int {
	return slices.Index([]string{
		VerifyBase, EarlyCreate, Create, VerifyPreUpgrade, Shutdown, Snapshot, VerifyNoAPI,
		UpgradePhase, VerifyPostUpgrade, VerifyTarget, Destroy, Leaks,
	}, phaseID)
}

// PhaseByID returns the phase with the given identifier, and whether there is
// one.
func PhaseByID(id string) (*Phase, bool) {
	for _, phase := range Sequence() {
		if phase.ID == id {
			return phase, true
		}
	}
	return nil, false
}

// ReservedNames lists what no project may be called, because a label filter
// could not tell it from a phase, a side or the cloud.
func ReservedNames() []string {
	names := []string{CloudProject, TempestProject, SetupRow, string(config.Base), string(config.Target)}
	for _, phase := range Sequence() {
		names = append(names, phase.ID, phase.Name)
		if phase.Stage != "" {
			names = append(names, string(phase.Stage))
		}
	}
	return names
}
