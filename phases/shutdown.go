package phases

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"grenade/framework/config"
	"grenade/framework/probe"
	"grenade/framework/tree"
	"grenade/plugins"
	"grenade/resources"
)

// shutdown stops the project's services, and holds when none of its
// control-plane processes is left: neither one that ran before, nor any in its
// units' cgroups. A plugin need not have a shutdown.sh: what it leaves running then
// is not checked, and its upgrade must replace it. The phase's cloud row first writes
// down what runs, and begins to ping what must answer from now on.
func (r *Run) shutdown(ctx context.Context, row Row) error {
	if row.Cloud() {
		record := r.recordBefore
		if r.foreign != nil {
			record = r.recordVersions
		}
		if err := record(ctx); err != nil {
			return err
		}
		return r.watchWitnesses(ctx)
	}
	prove := r.proveGone
	if plugin, known := r.Plan.Plugin(row.Project); known {
		state, err := plugins.StateOf(plugin.Script("shutdown.sh"))
		if err != nil {
			return fmt.Errorf("shutdown.sh of %s: %w", row.Project, err)
		}
		if state == plugins.Missing {
			prove = r.proveGoneOrNote
		}
	}
	return r.scriptAndProof(ctx, row, "shutdown.sh", config.Base, prove)
}

// proveGone holds when none of the service's processes is left.
func (r *Run) proveGone(ctx context.Context, service tree.Service) error {
	left, helpers, err := r.leftOf(ctx, service)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return &Unmet{
			What: fmt.Sprintf("%s still runs after its shutdown", service.Name),
			Want: fmt.Sprintf("no process in the units %s", strings.Join(service.Units, " ")),
			Saw:  strings.Join(left, "\n"),
		}
	}
	return r.proveHelpersRunOn(service, helpers)
}

// proveGoneOrNote is proveGone for a service that its own plugin does not stop, which may
// run on: another's may have stopped it, as upstream's nova stops placement. Its data
// plane must run on all the same.
func (r *Run) proveGoneOrNote(ctx context.Context, service tree.Service) error {
	left, helpers, err := r.leftOf(ctx, service)
	if err != nil {
		return err
	}
	if err := r.proveHelpersRunOn(service, helpers); err != nil {
		return err
	}
	if len(left) > 0 {
		return &resources.NotChecked{Reason: "its plugin has no shutdown.sh, and nobody has stopped it: it runs on until its upgrade: " + strings.Join(left, "; ")}
	}
	return nil
}

// leftOf describes the service's processes that run, wherever they are now, and apart
// from them the data plane's programs in its units.
func (r *Run) leftOf(ctx context.Context, service tree.Service) (left []string, helpers []probe.Process, err error) {
	running, err := probe.Units(ctx, r.cloud.Node(), service.Units)
	if err != nil {
		return nil, nil, fmt.Errorf("what is left of %s: %w", service.Name, err)
	}
	survivors, err := r.survivors(ctx, service.Name)
	if err != nil {
		return nil, nil, err
	}
	for _, unit := range service.Units {
		for _, process := range running[unit] {
			if service.Helper(unit, process.Exe) {
				helpers = append(helpers, process)
				continue
			}
			left = append(left, describe(process))
			survivors = slices.DeleteFunc(survivors, ProcessEvidence{Process: process}.sameProcess)
		}
	}
	for _, process := range survivors {
		left = append(left, describe(process)+" (it has left its unit)")
	}
	return left, helpers, nil
}

// proveHelpersRunOn holds when the data plane's programs that ran before
// shutdown are the ones that run now: an address that is leased or a router
// that forwards must not notice that the control plane is gone.
func (r *Run) proveHelpersRunOn(service tree.Service, now []probe.Process) error {
	r.mu.Lock()
	before := slices.Clone(r.projectEvidence(service.Name).Helpers)
	r.mu.Unlock()
	var gone []string
	for _, process := range before {
		if !slices.ContainsFunc(now, ProcessEvidence{Process: process}.sameProcess) {
			gone = append(gone, describe(process)+": "+process.Cmdline)
		}
	}
	if len(gone) > 0 {
		return &Unmet{
			What: fmt.Sprintf("the shutdown of %s took programs of the data plane with it", service.Name),
			Want: fmt.Sprintf("all %d of them running on, not restarted", len(before)),
			Saw:  "gone:\n" + strings.Join(gone, "\n"),
		}
	}
	return nil
}
