package phases

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"grenade/framework/probe"
	"grenade/framework/tree"
)

// shutdown stops the project's services, and holds when none of its
// control-plane processes is left: neither one that ran before, nor any in its
// units' cgroups. The phase's cloud row first writes down what runs.
func (r *Run) shutdown(ctx context.Context, row Row) error {
	if row.Cloud() {
		return r.recordBefore(ctx)
	}
	return r.scriptAndProof(ctx, row, "shutdown.sh", r.proveGone)
}

// proveGone holds when none of the service's processes is left.
func (r *Run) proveGone(ctx context.Context, service tree.Service) error {
	running, err := probe.Units(ctx, r.cloud.Node(), service.Units)
	if err != nil {
		return fmt.Errorf("what is left of %s: %w", service.Name, err)
	}
	survivors, err := r.survivors(ctx, service.Name)
	if err != nil {
		return err
	}
	var left []string
	for _, unit := range service.Units {
		for _, process := range running[unit] {
			left = append(left, describe(process))
			survivors = slices.DeleteFunc(survivors, ProcessEvidence{Process: process}.sameProcess)
		}
	}
	for _, process := range survivors {
		left = append(left, describe(process)+" (it has left its unit)")
	}
	if len(left) > 0 {
		return &Unmet{
			What: fmt.Sprintf("%s still runs after its shutdown", service.Name),
			Want: fmt.Sprintf("no process in the units %s", strings.Join(service.Units, " ")),
			Saw:  strings.Join(left, "\n"),
		}
	}
	return nil
}
