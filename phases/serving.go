package phases

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"grenade/framework/config"
	"grenade/framework/probe"
)

// verifyServing holds when the project's API answers, and whoever listens on
// its port runs the side's code.
func (r *Run) verifyServing(ctx context.Context, project string, side config.Side) error {
	service, known := r.cloud.Service(project, side)
	if !known || service.Port == 0 {
		return nil
	}
	url := fmt.Sprintf("http://%s:%d/%s", r.cloud.Node().Address(), service.Port, strings.TrimPrefix(service.Health, "/"))
	if err := probe.WaitHTTP(ctx, url, answers, r.progress.Waiting); err != nil {
		return fmt.Errorf("%s's API: %w", project, err)
	}
	listeners, err := probe.Listeners(ctx, r.cloud.Node(), service.Port)
	if err != nil {
		return fmt.Errorf("who listens for %s: %w", project, err)
	}
	processes, _, err := r.processes(ctx, project, side)
	if err != nil {
		return err
	}
	versions, err := r.cloud.Packages(ctx, side)
	if err != nil {
		return fmt.Errorf("the %s side's package versions: %w", side, err)
	}
	var wrong []string
	if len(listeners) == 0 {
		wrong = append(wrong, fmt.Sprintf("nobody listens on port %d", service.Port))
	}
	for _, listener := range listeners {
		index := slices.IndexFunc(processes, func(process ProcessEvidence) bool { return process.PID == listener.PID })
		if index < 0 {
			wrong = append(wrong, describe(listener)+": not a process of "+project+"'s units")
			continue
		}
		process := processes[index]
		if process.Root != r.cloud.Root(side) || process.Version == "" || process.Version != versions[process.Package] {
			wrong = append(wrong, describeEvidence(process))
		}
	}
	if len(wrong) > 0 {
		return &Unmet{
			What: fmt.Sprintf("port %d of %s is not served by the %s release", service.Port, project, side),
			Want: fmt.Sprintf("a process of the units %s, root %s, %s", strings.Join(service.Units, " "), r.cloud.Root(side), packageVersions(service, versions)),
			Saw:  strings.Join(wrong, "\n"),
		}
	}
	return nil
}

// answers accepts what a loaded API says of itself to somebody without a
// token.
func answers(status int) bool {
	return status < http.StatusBadRequest || status == http.StatusUnauthorized
}
