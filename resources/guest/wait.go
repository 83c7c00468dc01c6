package guest

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"grenade/resources"
)

// AwaitStatus waits until a server has the status ("ACTIVE", "SHUTOFF") and no
// task is under way. A server in ERROR ends it at once with nova's fault.
func AwaitStatus(ctx context.Context, compute *gophercloud.ServiceClient, server, status string) error {
	var last seen
	var shown time.Time
	return resources.WaitFor(ctx, resources.Wait{Object: "server " + server + " to be " + status, Limit: activeWithin, Every: 400 * time.Millisecond},
		func(ctx context.Context) (resources.Progress, error) {
			there, err := listed(ctx, compute, server, status, failedStatus)
			if err != nil || !there && time.Since(shown) < showEvery {
				return resources.Progress{Status: last.String()}, err
			}
			shown = time.Now()
			last, err = look(ctx, compute, server)
			return last.progress(status), err
		})
}

// showEvery is how old what is known of a server may get while it is in no list:
// one that has vanished will never be.
const showEvery = 10 * time.Second

// failedStatus is that of a server whose last action has failed for good.
const failedStatus = "ERROR"

// listed tells whether nova lists a server as one that has one of the statuses.
// The list comes from nova's own database; to show a server nova asks neutron
// twice, which is not done again and again while a wait lasts.
func listed(ctx context.Context, compute *gophercloud.ServiceClient, server string, statuses ...string) (bool, error) {
	var answer struct {
		Servers []struct {
			ID string `json:"id"`
		} `json:"servers"`
	}
	address := compute.ServiceURL("servers") + "?" + url.Values{"status": statuses}.Encode()
	if _, err := compute.Get(ctx, address, &answer, nil); err != nil { //nolint:bodyclose // closed by gophercloud once decoded
		return false, fmt.Errorf("list servers that are %s: %w", strings.Join(statuses, " or "), err)
	}
	for _, each := range answer.Servers {
		if each.ID == server {
			return true, nil
		}
	}
	return false, nil
}

// seen is what a look at a server shows.
type seen struct {
	status, task, fault string
}

func look(ctx context.Context, compute *gophercloud.ServiceClient, server string) (seen, error) {
	found, err := servers.Get(ctx, compute, server).Extract()
	if err != nil {
		return seen{}, err //nolint:wrapcheck // callers name the server
	}
	return seen{status: found.Status, task: found.TaskState, fault: found.Fault.Message}, nil
}

func (s seen) String() string {
	if s.task == "" {
		return s.status
	}
	return s.status + ", " + s.task
}

func (s seen) progress(wanted string) resources.Progress {
	fault := s.fault
	if fault == "" {
		fault = "nova tells no fault"
	}
	return resources.Progress{
		Status: s.String(), Done: s.status == wanted && s.task == "", Failed: s.status == failedStatus, Fault: fault,
	}
}

// AwaitAnswer waits until the guest answers on its floating address. A server
// that goes into ERROR meanwhile ends it at once; when time is up, the error has
// the end of the guest's console.
func (g Guest) AwaitAnswer(ctx context.Context, compute *gophercloud.ServiceClient) error {
	server, err := g.ServerID()
	if err != nil {
		return err
	}
	responder, err := g.Responder()
	if err != nil {
		return err
	}
	what := fmt.Sprintf("server %s to answer on %s", server, responder.Address)
	err = resources.WaitFor(ctx, resources.Wait{Object: what, Limit: answersWithin}, func(ctx context.Context) (resources.Progress, error) {
		quick, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		_, answer := responder.State(quick)
		if answer == nil {
			return resources.Progress{Done: true}, nil
		}
		progress := resources.Progress{Status: "it runs; " + answer.Error()}
		failed, err := listed(ctx, compute, server, failedStatus)
		if err != nil || !failed {
			return progress, err
		}
		now, err := look(ctx, compute, server)
		return now.progress(""), err
	})
	if err == nil || ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%w; the end of its console: %s", err, consoleEnd(ctx, compute, server))
}

// consoleEnd is for an error message: what it cannot get, it says.
func consoleEnd(ctx context.Context, compute *gophercloud.ServiceClient, server string) string {
	text, err := servers.ShowConsoleOutput(ctx, compute, server, servers.ShowConsoleOutputOpts{Length: 15}).Extract()
	if err != nil {
		return err.Error()
	}
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), " | ")
}
