package cinder

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/services"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/instanceactions"

	"grenade/resources"
)

const (
	// readyWithin bounds what cinder, or nova on its behalf, does to one volume. A
	// failure ends the wait at once, so that only a machine under load needs it.
	readyWithin = 10 * time.Minute
	// diskWithin bounds what the guest's kernel does about it.
	diskWithin = time.Minute
	// upWithin bounds a service's way from start to its first report.
	upWithin = 2 * time.Minute
)

// awaitVolume waits for one of the check's volumes to have a status, and
// returns its id. A volume in any status of error ends it at once with what
// cinder's user messages, or else nova's actions on the guest, say; so does one
// that goes back to where it came from.
func (s *session) awaitVolume(ctx context.Context, what, status string) (string, error) {
	id, err := s.check.memory.Get(keyVolume(what))
	if err != nil {
		return "", err
	}
	object := fmt.Sprintf("volume %s (%s) to be %s", id, s.check.name(what), status)
	before := ""
	return id, resources.WaitFor(ctx, resources.Wait{Object: object, Limit: readyWithin, Every: 500 * time.Millisecond},
		func(ctx context.Context) (resources.Progress, error) {
			volume, err := volumes.Get(ctx, s.storage, id).Extract()
			if err != nil {
				return resources.Progress{}, err //nolint:wrapcheck // WaitFor names the volume
			}
			progress := resources.Progress{Status: volume.Status, Done: volume.Status == status, Failed: failed(before, volume.Status, status)}
			if progress.Failed {
				progress.Fault = s.fault(ctx, "VOLUME", id)
			}
			before = volume.Status
			return progress, nil
		})
}

// failed says whether a volume that went from one status to the next will never
// get to the wanted one. Nova takes a reservation back when it cannot attach, and
// cinder's API sets "detaching" before it answers.
func failed(before, now, wanted string) bool {
	switch {
	case now == wanted:
		return false
	case strings.HasPrefix(now, "error"):
		return true
	case wanted == "in-use":
		return now == "available" && before != "" && before != "available"
	case wanted == "available":
		return now == "in-use" && before == "detaching"
	}
	return false
}

// awaitSnapshot waits for the snapshot to be available.
func (s *session) awaitSnapshot(ctx context.Context) error {
	id, err := s.check.memory.Get(keySnapshot)
	if err != nil {
		return err
	}
	return resources.WaitFor(ctx, resources.Wait{Object: "snapshot " + id + " to be available", Limit: readyWithin},
		func(ctx context.Context) (resources.Progress, error) {
			snapshot, err := snapshots.Get(ctx, s.storage, id).Extract()
			if err != nil {
				return resources.Progress{}, err //nolint:wrapcheck // WaitFor names the snapshot
			}
			progress := resources.Progress{
				Status: snapshot.Status, Done: snapshot.Status == "available", Failed: strings.HasPrefix(snapshot.Status, "error"),
			}
			if progress.Failed {
				progress.Fault = s.fault(ctx, "VOLUME_SNAPSHOT", id)
			}
			return progress, nil
		})
}

// fault is what cinder and nova tell their user of a failure. It is for an error
// message: what it cannot get, it says.
func (s *session) fault(ctx context.Context, kind, id string) string {
	said := []string{}
	messages, err := userMessages(ctx, s.storage, kind, id)
	if err != nil {
		said = append(said, "no messages from cinder: "+err.Error())
	}
	for _, message := range messages {
		said = append(said, "cinder: "+message)
	}
	if server, err := s.check.guest().ServerID(); err == nil && kind == "VOLUME" {
		if action := lastAction(ctx, s.compute, server); action != "" {
			said = append(said, "nova: "+action)
		}
	}
	if len(said) == 0 {
		return "neither cinder nor nova tells its user why"
	}
	return strings.Join(said, "; ")
}

// userMessages are what cinder says of one of its objects, newest first (Block
// Storage API, "Messages").
func userMessages(ctx context.Context, storage *gophercloud.ServiceClient, kind, id string) ([]string, error) {
	var answer struct {
		Messages []struct {
			Text string `json:"user_message"`
		} `json:"messages"`
	}
	address := storage.ServiceURL("messages") + "?sort=created_at:desc&resource_type=" + kind + "&resource_uuid=" + id
	if _, err := storage.Get(ctx, address, &answer, nil); err != nil { //nolint:bodyclose // closed by gophercloud once decoded
		return nil, fmt.Errorf("messages about %s: %w", id, err)
	}
	texts := []string{}
	for _, message := range answer.Messages {
		texts = append(texts, message.Text)
	}
	return texts, nil
}

// lastAction says what failed in nova's last action on a server, or "".
func lastAction(ctx context.Context, compute *gophercloud.ServiceClient, server string) string {
	page, err := instanceactions.List(compute, server, instanceactions.ListOpts{Limit: 1}).AllPages(ctx)
	if err != nil {
		return "no actions of server " + server + ": " + err.Error()
	}
	actions, err := instanceactions.ExtractInstanceActions(page)
	if err != nil || len(actions) == 0 {
		return ""
	}
	action, err := instanceactions.Get(ctx, compute, server, actions[0].RequestID).Extract()
	if err != nil {
		return "action " + actions[0].RequestID + " of server " + server + ": " + err.Error()
	}
	said := []string{}
	if action.Message != "" {
		said = append(said, action.Action+": "+action.Message)
	}
	if action.Events != nil {
		for _, event := range *action.Events {
			if event.Result == "Error" {
				said = append(said, action.Action+", "+event.Event+": failed")
			}
		}
	}
	return strings.Join(said, ", ")
}

// servicesUp waits until each of cinder's services has reported within its time
// and the scheduler knows of each backend that it is up.
func (s *session) servicesUp(ctx context.Context) error {
	return resources.WaitFor(ctx, resources.Wait{Object: "cinder's services to be up", Limit: upWithin, Every: time.Second},
		func(ctx context.Context) (resources.Progress, error) {
			list, err := resources.Collection(ctx, services.List(s.admin, services.ListOpts{}), "services")
			if err != nil {
				return resources.Progress{}, err
			}
			down := []string{}
			for _, service := range list {
				backend, isBackend := service["backend_state"]
				if service["state"] != "up" || isBackend && backend != "up" {
					down = append(down, fmt.Sprintf("%v on %v: %v, backend %v", service["binary"], service["host"], service["state"], backend))
				}
			}
			return resources.Progress{Status: strings.Join(down, "; "), Done: len(list) > 0 && len(down) == 0}, nil
		})
}
