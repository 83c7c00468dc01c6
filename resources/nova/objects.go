package nova

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"grenade/resources"
)

// placementMicroversion is of Zed; both sides answer in its shape.
const placementMicroversion = "1.39"

// session is what one phase needs, logged in afresh.
type session struct {
	check *check
	own   *gophercloud.ProviderClient
	// compute is nova as the owner sees it, admin as the administrator does.
	compute, admin, placement *gophercloud.ServiceClient
	volumes                   *gophercloud.ServiceClient // nil when the cloud has none
	saved                     map[string]string
	server, project           string // ids
}

func (c *check) open(ctx context.Context) (*session, error) {
	s := &session{check: c}
	var err error
	if s.saved, err = c.memory.All(); err != nil {
		return nil, err
	}
	if s.server, err = c.guest().ServerID(); err != nil {
		return nil, err
	}
	if s.project, err = c.owner().ProjectID(); err != nil {
		return nil, err
	}
	if s.own, err = c.owner().Login(ctx); err != nil {
		return nil, err
	}
	administrator, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return nil, err
	}
	var err1, err2, err3, err4 error
	s.compute, err1 = c.compute(s.own)
	s.volumes, err2 = c.volumes(s.own)
	s.admin, err3 = c.compute(administrator)
	s.placement, err4 = c.cloud.Service(administrator, "placement", "")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	s.placement.Microversion = placementMicroversion
	return s, nil
}

// versions is the address of nova's version document.
func (s *session) versions() string { return strings.TrimSuffix(s.compute.Endpoint, "v2.1/") }

// locate saves what objects are to be looked at later: the hypervisor that has
// the server, and what was done to the server so far.
func (s *session) locate(ctx context.Context) error {
	seen, err := servers.Get(ctx, s.admin, s.server).Extract()
	if err != nil {
		return fmt.Errorf("look at server %s: %w", s.server, err)
	}
	list, err := get(ctx, s.admin, "hypervisors", "os-hypervisors")
	if err != nil {
		return err
	}
	hypervisor := ""
	for _, each := range list {
		if each["hypervisor_hostname"] == seen.HypervisorHostname {
			hypervisor = fmt.Sprint(each["id"])
		}
	}
	if hypervisor == "" {
		return fmt.Errorf("server %s is on hypervisor %q, which nova does not list", s.server, seen.HypervisorHostname)
	}
	ids, err := s.finishedActions(ctx)
	if err != nil {
		return err
	}
	values := map[string]string{keyHypervisor: hypervisor, keyActions: strings.Join(ids, " ")}
	for key, value := range values {
		s.saved[key] = value
	}
	return s.check.memory.Save(ctx, values)
}

// finishedActions returns the request ids of what was done to the server, once
// nova has noted the end of each.
func (s *session) finishedActions(ctx context.Context) (ids []string, err error) {
	wait := resources.Wait{Object: "the actions on server " + s.server + " to be finished", Limit: settleWithin}
	err = resources.WaitFor(ctx, wait, func(ctx context.Context) (resources.Progress, error) {
		list, err := get(ctx, s.compute, "instanceActions", "servers", s.server, "os-instance-actions")
		if err != nil {
			return resources.Progress{}, err
		}
		ids = ids[:0]
		for _, action := range list {
			ids = append(ids, fmt.Sprint(action["request_id"]))
		}
		slices.Sort(ids)
		actions, err := s.actions(ctx, ids)
		if err != nil {
			return resources.Progress{}, err
		}
		for _, action := range actions {
			events, _ := action["events"].([]any)
			for _, event := range events {
				if event, ok := event.(map[string]any); ok && event["finish_time"] == nil {
					return resources.Progress{Status: fmt.Sprintf("%v: %v goes on", action["action"], event["event"])}, nil
				}
			}
		}
		return resources.Progress{Done: len(ids) > 0, Status: "none"}, nil
	})
	return ids, err
}

// actions returns each with its events, keyed by the request that caused it.
func (s *session) actions(ctx context.Context, ids []string) ([]map[string]any, error) {
	actions := []map[string]any{}
	for _, id := range ids {
		answer, err := show(s.compute, "instanceAction", "servers", s.server, "os-instance-actions", id)(ctx)
		if err != nil {
			return nil, err
		}
		action, ok := answer.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("action %s on server %s: the answer is %T", id, s.server, answer)
		}
		action["id"] = action["request_id"]
		actions = append(actions, action)
	}
	return actions, nil
}

// show returns a function that fetches one object whole.
func show(client *gophercloud.ServiceClient, member string, path ...string) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		var result gophercloud.Result
		answer, err := client.Get(ctx, client.ServiceURL(path...), &result.Body, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}}) //nolint:bodyclose // closed by gophercloud once decoded
		_, result.Header, result.Err = gophercloud.ParseResponse(answer, err)
		if member == "" {
			return resources.Body(result)
		}
		return resources.Member(result, member)
	}
}

// get fetches a list, each element whole.
func get(ctx context.Context, client *gophercloud.ServiceClient, member string, path ...string) ([]map[string]any, error) {
	answer, err := show(client, member, path...)(ctx)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", strings.Join(path, "/"), err)
	}
	elements, ok := answer.([]any)
	if !ok {
		return nil, fmt.Errorf("list %s: the answer is %T", strings.Join(path, "/"), answer)
	}
	list := make([]map[string]any, 0, len(elements))
	for _, element := range elements {
		object, ok := element.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("list %s: one is %T", strings.Join(path, "/"), element)
		}
		list = append(list, object)
	}
	return list, nil
}

// keyed fetches a list whose elements are told apart by another attribute than id.
func keyed(client *gophercloud.ServiceClient, attribute, member string, path ...string) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		list, err := get(ctx, client, member, path...)
		if err != nil {
			return nil, err
		}
		for _, object := range list {
			object["id"] = object[attribute]
		}
		return list, nil
	}
}

// objects lists everything that is compared through the API. want is nil but at
// create.
func (s *session) objects(want *asked) []resources.Object {
	if want == nil {
		want = &asked{}
	}
	touched := resources.Tolerated{Attribute: "updated", Reason: "the time at which nova last wrote the server's row, which its periodic tasks and its restart do, too"}
	name := s.saved[keyName]
	list := []resources.Object{
		{Name: "server", Fetch: show(s.compute, "server", "servers", s.server), Asked: want.server, Tolerated: []resources.Tolerated{touched}},
		{Name: "server_seen_by_admin", Fetch: s.seenByAdmin, Tolerated: []resources.Tolerated{touched}},
		{Name: "interfaces", Fetch: keyed(s.compute, "port_id", "interfaceAttachments", "servers", s.server, "os-interface")},
		{Name: "actions", Fetch: func(ctx context.Context) (any, error) { return s.actions(ctx, strings.Fields(s.saved[keyActions])) },
			Tolerated: []resources.Tolerated{}},
		{Name: "flavor", Fetch: show(s.compute, "flavor", "flavors", s.saved[keyFlavor]), Asked: want.flavor},
		{Name: "flavor_access", Fetch: keyed(s.admin, "tenant_id", "flavor_access", "flavors", s.saved[keyFlavor], "os-flavor-access")},
		{Name: "keypair", Fetch: show(s.compute, "keypair", "os-keypairs", url.PathEscape(name)), Asked: want.keypair},
		{Name: "server_group", Fetch: show(s.compute, "server_group", "os-server-groups", s.saved[keyServerGroup]), Asked: want.group},
		{Name: "quota", Fetch: show(s.admin, "quota_set", "os-quota-sets", s.project), Asked: want.quota},
		{Name: "limits", Fetch: show(s.compute, "limits", "limits")},
		{Name: "services", Fetch: s.services, Tolerated: []resources.Tolerated{
			{Attribute: "[*].updated_at", Reason: "the time of the service's last sign of life"},
		}},
		{Name: "hypervisor", Fetch: show(s.admin, "hypervisor", "os-hypervisors", s.saved[keyHypervisor]), Tolerated: []resources.Tolerated{
			{Attribute: "uptime", Reason: "how long the host is up, and its load"},
		}},
		{Name: "allocations", Fetch: s.allocations, Tolerated: []resources.Tolerated{
			{Attribute: "allocations[*].generation", Reason: "the provider's: every other server that comes or goes changes it"},
		}},
	}
	if s.saved[keyVolume] != "" {
		list = append(list, resources.Object{
			Name: "volume_attachments", Fetch: keyed(s.compute, "volumeId", "volumeAttachments", "servers", s.server, "os-volume_attachments"),
		})
	}
	return list
}

// seenByAdmin is the server as administrators see it. That nova does not know of the
// server's host is waited for, as with services: its nova-compute has not reported
// since it started, and what its predecessor reported has grown old meanwhile.
func (s *session) seenByAdmin(ctx context.Context) (seen any, err error) {
	const unknown = "UNKNOWN"
	wait := resources.Wait{Object: "the host of server " + s.server + " to be up", Limit: settleWithin}
	err = resources.WaitFor(ctx, wait, func(ctx context.Context) (resources.Progress, error) {
		var err error
		if seen, err = show(s.admin, "server", "servers", s.server)(ctx); err != nil {
			return resources.Progress{}, err
		}
		server, _ := seen.(map[string]any)
		return resources.Progress{Done: server["host_status"] != unknown, Status: unknown}, nil
	})
	if err != nil && seen != nil && ctx.Err() == nil {
		return seen, nil // the comparison names it
	}
	return seen, err
}

// services are those of all hosts. One that is down is waited for: nova calls a
// service up when it has reported within the last minute, which one that has just
// started may not have done yet.
func (s *session) services(ctx context.Context) (services any, err error) {
	wait := resources.Wait{Object: "every compute service to be up", Limit: settleWithin}
	var list []map[string]any
	err = resources.WaitFor(ctx, wait, func(ctx context.Context) (resources.Progress, error) {
		var err error
		if list, err = get(ctx, s.admin, "services", "os-services"); err != nil {
			return resources.Progress{}, err
		}
		down := []string{}
		for _, service := range list {
			if service["state"] != "up" {
				down = append(down, fmt.Sprintf("%v on %v is %v", service["binary"], service["host"], service["state"]))
			}
		}
		return resources.Progress{Done: len(down) == 0, Status: strings.Join(down, ", ")}, nil
	})
	if err != nil && len(list) > 0 && ctx.Err() == nil {
		return list, nil // the comparison names the one
	}
	return list, err
}

// allocations are what placement has given to the server, keyed by provider.
func (s *session) allocations(ctx context.Context) (any, error) {
	answer, err := show(s.placement, "", "allocations", s.server)(ctx)
	if err != nil {
		return nil, err
	}
	document, ok := answer.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("allocations of server %s: the answer is %T", s.server, answer)
	}
	list := []any{}
	providers, _ := document["allocations"].(map[string]any)
	for id, allocation := range providers {
		if allocation, ok := allocation.(map[string]any); ok {
			allocation["id"] = id
		}
		list = append(list, allocation)
	}
	document["allocations"] = list
	return document, nil
}
