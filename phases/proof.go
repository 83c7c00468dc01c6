package phases

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"grenade/framework/config"
	"grenade/framework/probe"
	"grenade/framework/report"
	"grenade/framework/tree"
	"grenade/resources"
)

// recordBefore writes down which processes run for every project in the cloud
// before anything is stopped. Without it nothing could be proved afterwards,
// so a project without a process is an error.
func (r *Run) recordBefore(ctx context.Context) error {
	for _, project := range r.Selection.Closure {
		processes, helpers, err := r.processes(ctx, project, config.Base)
		if err != nil {
			return err
		}
		service, _ := r.cloud.Service(project, config.Base)
		if len(processes) == 0 && len(service.Units) > 0 {
			return &Unmet{
				What: fmt.Sprintf("%s does not run before shutdown", project),
				Want: fmt.Sprintf("processes in the units %s", strings.Join(service.Units, " ")),
				Saw:  "none",
			}
		}
		r.mu.Lock()
		r.projectEvidence(project).Before = processes
		r.projectEvidence(project).Helpers = helpers
		r.mu.Unlock()
	}
	return r.saveState()
}

// scriptAndProof runs the plugin's script, and then has what it should have
// done proved, also when there was no such script or it did nothing: the proof
// is what counts. Only where nothing can be proved, for want of a unit that the
// tree knows, does such a script leave the row unchecked.
func (r *Run) scriptAndProof(ctx context.Context, row Row, script string, side config.Side, prove func(context.Context, tree.Service) error) error {
	if r.foreign != nil {
		return r.commandAndProof(ctx, row, script, side)
	}
	err := r.script(ctx, row, script)
	var nothing *resources.NotChecked
	if err != nil && !errors.As(err, &nothing) {
		return err
	}
	if err := r.trees.Look(ctx); err != nil {
		return fmt.Errorf("what runs after %s: %w", script, err)
	}
	service, known := r.cloud.Service(row.Project, side)
	if known && service.Unproved != "" && nothing == nil {
		return &resources.NotChecked{Reason: fmt.Sprintf("%s did not fail, and what came of it is not proved: %s", script, service.Unproved)}
	}
	if !known || len(service.Units) == 0 || service.Unproved != "" {
		return err
	}
	unproved := prove(ctx, service)
	if unproved != nil && nothing != nil {
		return fmt.Errorf("%s, and %w", nothing.Reason, unproved)
	}
	return unproved
}

// proveUpgraded holds when every process of the project's units started after
// those of the base release had gone, runs in the target's root, and that root
// holds the target's version of the package.
func (r *Run) proveUpgraded(ctx context.Context, service tree.Service) error {
	project := service.Name
	after, _, err := r.processes(ctx, project, config.Target)
	if err != nil {
		return err
	}
	r.mu.Lock()
	before := r.projectEvidence(project).Before
	r.projectEvidence(project).After = after
	r.mu.Unlock()
	if err := r.saveState(); err != nil {
		return err
	}
	versions, err := r.trees.Packages(ctx, config.Target)
	if err != nil {
		return fmt.Errorf("the target's package versions: %w", err)
	}
	left, err := r.survivors(ctx, project)
	if err != nil {
		return err
	}
	var wrong, unknown []string
	for _, process := range left {
		if !slices.ContainsFunc(after, func(p ProcessEvidence) bool { return p.sameProcess(process) }) {
			wrong = append(wrong, describe(process)+": it ran before the upgrade, and does outside its unit")
		}
	}
	if len(before) == 0 {
		wrong = append(wrong, "nothing was recorded before shutdown, so nothing can be proved")
	}
	for _, unit := range service.Units {
		if !slices.ContainsFunc(after, func(process ProcessEvidence) bool { return process.Unit == unit }) {
			wrong = append(wrong, fmt.Sprintf("unit %s has no process", unit))
		}
	}
	for _, process := range after {
		if reason := notUpgraded(process, before, r.trees.Root(config.Target), versions); reason != "" {
			wrong = append(wrong, describeEvidence(process)+": "+reason)
		} else if process.Unknown != "" {
			unknown = append(unknown, describe(process.Process)+": "+process.Unknown)
		}
	}
	if len(wrong) == 0 && len(unknown) > 0 {
		return &resources.NotChecked{Reason: "which code runs cannot be told: " + strings.Join(unknown, "; ")}
	}
	if len(wrong) > 0 {
		return &Unmet{
			What: fmt.Sprintf("%s was not upgraded, although its upgrade.sh did not fail", project),
			Want: fmt.Sprintf("only new processes, with their root in %s and the target's %s",
				r.trees.Root(config.Target), packageVersions(service, versions)),
			Saw: strings.Join(wrong, "\n"),
		}
	}
	return nil
}

// notUpgraded says why the process is not proof of an upgrade, or nothing.
func notUpgraded(process ProcessEvidence, before []ProcessEvidence, root string, versions map[string]string) string {
	switch {
	case slices.ContainsFunc(before, process.same):
		return "it is the process that ran before the upgrade"
	case process.Root != root:
		return "its root is not the target's"
	case process.Unknown != "":
		return "" // which is no proof of anything
	case process.Version == "":
		return fmt.Sprintf("its root does not hold the package %s", process.Package)
	case process.Version != versions[process.Package]:
		return fmt.Sprintf("its package is not the target's %s", versions[process.Package])
	default:
		return ""
	}
}

// same tells whether both are the very same process.
func (p ProcessEvidence) same(other ProcessEvidence) bool {
	return p.PID == other.PID && p.StartTime == other.StartTime
}

// sameProcess is same for a process without its package.
func (p ProcessEvidence) sameProcess(other probe.Process) bool {
	return p.same(ProcessEvidence{Process: other})
}

// processes returns every process of the units that the project has on that
// side, with the version of the code that its root holds; and, apart from them,
// the data plane's programs that the units have started.
func (r *Run) processes(ctx context.Context, project string, side config.Side) (control []ProcessEvidence, helpers []probe.Process, err error) {
	service, known := r.cloud.Service(project, side)
	if !known || len(service.Units) == 0 {
		return nil, nil, nil
	}
	running, err := probe.Units(ctx, r.cloud.Node(), service.Units)
	if err != nil {
		return nil, nil, fmt.Errorf("the processes of %s: %w", project, err)
	}
	var processes []probe.Process
	for _, unit := range service.Units {
		for _, process := range running[unit] {
			if service.Helper(unit, process.Exe) {
				helpers = append(helpers, process)
				continue
			}
			processes = append(processes, process)
		}
	}
	code, err := r.trees.Code(ctx, service, processes)
	if err != nil {
		return nil, nil, fmt.Errorf("the code that %s runs from: %w", project, err)
	}
	for i, process := range processes {
		control = append(control, ProcessEvidence{Process: process, Package: code[i].Package, Version: code[i].Version, Unknown: code[i].Unknown})
	}
	return control, helpers, nil
}

// survivors are those processes that ran before shutdown and still do, wherever
// they are now.
func (r *Run) survivors(ctx context.Context, project string) ([]probe.Process, error) {
	r.mu.Lock()
	before := slices.Clone(r.projectEvidence(project).Before)
	r.mu.Unlock()
	pids := make([]int, 0, len(before))
	for _, process := range before {
		pids = append(pids, process.PID)
	}
	if len(pids) == 0 {
		return nil, nil
	}
	now, err := probe.ByPID(ctx, r.cloud.Node(), pids)
	if err != nil {
		return nil, fmt.Errorf("what is left of %s: %w", project, err)
	}
	var left []probe.Process
	for _, process := range now {
		index := slices.IndexFunc(before, ProcessEvidence{Process: process}.same)
		if index >= 0 {
			process.Unit = before[index].Unit
			left = append(left, process)
		}
	}
	return left, nil
}

// processChanges says how the processes of a project differ from those that
// ran before. A service that was left alone may have started another process, of
// the same code, beside those that it had: neutron's DHCP agent does, for a
// privileged daemon, when the first port is deleted. And a program that it had
// started may have done its work: the L3 agent's arping announces an address for some
// seconds.
func processChanges(project string, before, now []ProcessEvidence) []string {
	var changes []string
	for _, process := range before {
		if !slices.ContainsFunc(now, process.same) && !didItsWork(process, before, now) {
			changes = append(changes, fmt.Sprintf("%s: %s is gone", project, describeEvidence(process)))
		}
	}
	for _, process := range now {
		known := slices.ContainsFunc(before, process.same)
		joined := slices.ContainsFunc(before, func(old ProcessEvidence) bool {
			return old.Unit == process.Unit && old.Root == process.Root && old.Version == process.Version && slices.ContainsFunc(now, old.same)
		})
		if !known && !joined {
			changes = append(changes, fmt.Sprintf("%s: %s is new", project, describeEvidence(process)))
		}
	}
	return changes
}

// didItsWork tells whether a process that is gone was no part of the service itself
// but a program that it ran: another one than its unit's first process, which is there
// still.
func didItsWork(gone ProcessEvidence, before, now []ProcessEvidence) bool {
	first := gone
	for _, process := range before {
		if process.Unit == gone.Unit && process.StartTime < first.StartTime {
			first = process
		}
	}
	return first.Exe != gone.Exe && slices.ContainsFunc(now, first.same)
}

// projectEvidence returns the project's evidence; the caller holds the lock.
func (r *Run) projectEvidence(project string) *ProjectEvidence {
	if r.evidence[project] == nil {
		r.evidence[project] = &ProjectEvidence{}
	}
	return r.evidence[project]
}

func describe(process probe.Process) string {
	return fmt.Sprintf("%s: pid %d, started at tick %d, %s, root %s", process.Unit, process.PID, process.StartTime, process.Exe, process.Root)
}

func describeEvidence(process ProcessEvidence) string {
	return fmt.Sprintf("%s, %s %s", describe(process.Process), process.Package, process.Version)
}

func packageVersions(service tree.Service, versions map[string]string) string {
	if len(service.Packages) == 0 {
		return "code"
	}
	return service.Packages[0] + " " + versions[service.Packages[0]]
}

// reportEvidence is the evidence as the report shows it, unit by unit; the
// caller holds the lock.
func (r *Run) reportEvidence() []report.Evidence {
	var all []report.Evidence
	for _, project := range r.Selection.Closure {
		seen, known := r.evidence[project]
		side := config.Base
		if slices.Contains(r.Selection.Projects, project) {
			side = config.Target
		}
		service, serviceKnown := r.cloud.Service(project, side)
		if !known || !serviceKnown {
			continue
		}
		outcome, _ := r.Ledger.Outcome(UpgradePhase, project)
		for _, unit := range service.Units {
			each := report.Evidence{Project: project, Unit: unit, Before: reportProcesses(seen.Before, unit), After: reportProcesses(seen.After, unit)}
			switch {
			case outcome == report.Passed:
				each.Upgraded = true
			case !slices.Contains(r.Selection.Projects, project):
				each.Reason = "not part of this upgrade"
			default:
				each.Reason = "its upgrade is " + string(outcome)
			}
			all = append(all, each)
		}
	}
	return all
}

func reportProcesses(seen []ProcessEvidence, unit string) []report.Process {
	var all []report.Process
	for _, process := range seen {
		if process.Unit == unit {
			all = append(all, report.Process{PID: process.PID, Start: process.StartTime, Exe: process.Exe, Root: process.Root,
				Package: process.Package, Version: process.Version})
		}
	}
	return all
}
