package phases

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"grenade/framework/config"
	"grenade/framework/probe"
	"grenade/framework/tree"
	"grenade/resources"
)

// verifyServing holds when the project's API answers, and whoever serves it
// runs the side's code: whoever listens on its port, or where a web server
// stands before it all processes of its units.
func (r *Run) verifyServing(ctx context.Context, project string, side config.Side) error {
	if r.trees != nil {
		if err := r.trees.Look(ctx); err != nil {
			return fmt.Errorf("what runs for %s: %w", project, err)
		}
	}
	service, known := r.cloud.Service(project, side)
	url := service.URL
	if url == "" && service.Port != 0 {
		url = fmt.Sprintf("http://%s:%d/%s", r.cloud.Node().Address(), service.Port, strings.TrimPrefix(service.Health, "/"))
	}
	if !known || url == "" && service.Unproved == "" && len(service.Units) == 0 {
		return nil
	}
	if url != "" {
		if err := r.awaitAnswer(ctx, url); err != nil {
			return fmt.Errorf("%s's API: %w", project, err)
		}
	}
	if service.Unproved != "" {
		return &resources.NotChecked{Reason: "who serves its API is not known: " + service.Unproved}
	}
	processes, _, err := r.processes(ctx, project, side)
	if err != nil {
		return err
	}
	versions, err := r.trees.Packages(ctx, side)
	if err != nil {
		return fmt.Errorf("the %s side's package versions: %w", side, err)
	}
	wrong, servers, err := r.servers(ctx, service, processes)
	if err != nil {
		return err
	}
	var unknown []string
	for _, process := range servers {
		switch {
		case process.Unknown != "":
			unknown = append(unknown, describe(process.Process)+": "+process.Unknown)
		case process.Root != r.trees.Root(side) || process.Version == "" || process.Version != versions[process.Package]:
			wrong = append(wrong, describeEvidence(process))
		}
	}
	if len(wrong) > 0 {
		what := project
		if url != "" {
			what = url + " of " + project
		}
		return &Unmet{
			What: fmt.Sprintf("%s is not served by the %s release", what, side),
			Want: fmt.Sprintf("a process of the units %s, root %s, %s", strings.Join(service.Units, " "), r.trees.Root(side), packageVersions(service, versions)),
			Saw:  strings.Join(wrong, "\n"),
		}
	}
	if len(unknown) > 0 {
		return &resources.NotChecked{Reason: "which code runs cannot be told: " + strings.Join(unknown, "; ")}
	}
	if url == "" {
		return &resources.NotChecked{Reason: fmt.Sprintf("its processes run the %s release's code; where its API answers is not known", side)}
	}
	return nil
}

// awaitAnswer waits for the API as long as SERVICE_TIMEOUT says.
func (r *Run) awaitAnswer(ctx context.Context, url string) error {
	limit := r.Config.ServiceTimeout
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("SERVICE_TIMEOUT, %s, is over", limit))
	defer cancel()
	return probe.WaitHTTP(ctx, url, answers, r.progress.Waiting)
}

// servers are those of the service's processes that serve its API; wrong says
// who else does, or that nobody does.
func (r *Run) servers(ctx context.Context, service tree.Service, processes []ProcessEvidence) (wrong []string, servers []ProcessEvidence, err error) {
	if service.Port == 0 {
		if len(processes) == 0 {
			wrong = append(wrong, "none of the units has a process")
		}
		return wrong, processes, nil
	}
	listeners, err := probe.Listeners(ctx, r.cloud.Node(), service.Port)
	if err != nil {
		return nil, nil, fmt.Errorf("who listens for %s: %w", service.Name, err)
	}
	if len(listeners) == 0 {
		wrong = append(wrong, fmt.Sprintf("nobody listens on port %d", service.Port))
	}
	for _, listener := range listeners {
		index := slices.IndexFunc(processes, func(process ProcessEvidence) bool { return process.PID == listener.PID })
		if index < 0 {
			wrong = append(wrong, describe(listener)+": not a process of "+service.Name+"'s units")
			continue
		}
		servers = append(servers, processes[index])
	}
	return wrong, servers, nil
}

// answers accepts what a loaded API says of itself to somebody without a
// token.
func answers(status int) bool {
	return status < http.StatusBadRequest || status == http.StatusUnauthorized
}
