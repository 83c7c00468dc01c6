package neutron

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/agents"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/routers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/quotas"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"

	"grenade/resources"
)

// settledWithin is how long agents may take to wire ports and to report
// themselves: they report every 30 s and look for work more often.
const settledWithin = 2 * time.Minute

// session is what one phase needs: the owner and the administrator, logged in
// afresh.
type session struct {
	memory       *resources.Memory
	owner, admin *gophercloud.ServiceClient
	saved        map[string]string
}

func (c *check) open(ctx context.Context) (*session, error) {
	s := &session{memory: c.memory}
	var err error
	if s.saved, err = c.memory.All(); err != nil {
		return nil, err
	}
	for _, key := range []string{keyNetwork, keySubnet, keyRouter, keyPort, keyGroup, keyFloating, keyAddress} {
		if _, err := c.memory.Get(key); err != nil {
			return nil, err
		}
	}
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return nil, err
	}
	if s.admin, err = c.service(provider); err != nil {
		return nil, err
	}
	if s.owner, err = c.client(ctx, c.owner()); err != nil {
		return nil, err
	}
	return s, nil
}

// moved are the attributes that neutron itself changes when the agents that it
// talks to start anew.
func moved() []resources.Tolerated {
	return []resources.Tolerated{
		{Attribute: "revision_number", Reason: "neutron counts every write of an agent's report: a port goes down and up again when its agent starts anew"},
		{Attribute: "updated_at", Reason: "the time of the last such write"},
	}
}

// objects lists everything that is compared through the API: what the
// administrator sees, who sees all attributes, and what the owner sees.
func (s *session) objects() []resources.Object {
	project := s.saved["owner.project_id"]
	list := []resources.Object{
		{Name: "network", Fetch: s.network(s.admin, keyNetwork), Tolerated: moved(), Asked: map[string]any{
			"id": s.saved[keyNetwork], "description": description, "status": "ACTIVE", "shared": false, "tags": []string{"before", "upgrade"}, "project_id": project,
		}},
		{Name: "network_seen_by_owner", Fetch: s.network(s.owner, keyNetwork), Tolerated: moved()},
		{Name: "subnet", Fetch: s.subnet(s.admin, keySubnet), Asked: map[string]any{
			"id": s.saved[keySubnet], "description": description, "cidr": ownPrefix, "gateway_ip": ownGateway, "enable_dhcp": true, "project_id": project,
			"dns_nameservers":  []string{nameServer},
			"host_routes":      []any{map[string]any{"destination": hostRoute, "nexthop": ownGateway}},
			"allocation_pools": []any{map[string]any{"start": ownFirst, "end": ownLast}},
		}},
		{Name: "subnet_seen_by_owner", Fetch: s.subnet(s.owner, keySubnet)},
		{Name: "port", Fetch: s.port(s.admin, keyPort), Tolerated: moved(), Asked: map[string]any{
			"id": s.saved[keyPort], "description": description, "project_id": project, "network_id": s.saved[keyNetwork],
			"security_groups": []string{s.saved[keyGroup]},
			"fixed_ips":       []any{map[string]any{"subnet_id": s.saved[keySubnet], "ip_address": probeAddress}},
		}},
		{Name: "port_seen_by_owner", Fetch: s.port(s.owner, keyPort), Tolerated: moved()},
		{Name: "ports_of_network", Fetch: s.ports(ports.ListOpts{NetworkID: s.saved[keyNetwork]})},
		{Name: "ports_of_router", Fetch: s.ports(ports.ListOpts{DeviceID: s.saved[keyRouter]})},
		{Name: "router", Fetch: s.router(s.admin, keyRouter), Tolerated: moved(), Asked: map[string]any{
			"id": s.saved[keyRouter], "description": description, "status": "ACTIVE", "project_id": project,
			"external_gateway_info.network_id": s.saved[keyPublic],
			"routes":                           []any{map[string]any{"destination": routerRoute, "nexthop": probeAddress}},
		}},
		{Name: "router_seen_by_owner", Fetch: s.router(s.owner, keyRouter), Tolerated: moved()},
		{Name: "security_group", Fetch: s.group(s.owner, keyGroup), Asked: map[string]any{
			"id": s.saved[keyGroup], "description": description, "project_id": project,
		}},
		{Name: "floating_ip", Fetch: s.floating(s.owner, keyFloating), Tolerated: moved(), Asked: map[string]any{
			"id": s.saved[keyFloating], "description": description, "status": "ACTIVE", "project_id": project,
			"port_id": s.saved[keyPort], "fixed_ip_address": probeAddress, "floating_network_id": s.saved[keyPublic], "router_id": s.saved[keyRouter],
		}},
		{Name: "quota", Fetch: s.quota(project), Asked: asAny(limits())},
		{Name: "quota_used", Fetch: s.used(project)},
		{Name: "external_network", Fetch: s.network(s.owner, keyPublic), Tolerated: moved()},
		{Name: "extensions", Fetch: s.extensions},
		{Name: "agents", Fetch: s.agents},
		{Name: "dhcp_agents_of_network", Fetch: s.hosts("networks/" + s.saved[keyNetwork] + "/dhcp-agents")},
		{Name: "l3_agents_of_router", Fetch: s.hosts("routers/" + s.saved[keyRouter] + "/l3-agents")},
	}
	if s.hasShared() {
		list = append(list, s.shared()...)
	}
	return list
}

// hasShared says whether early create has run. Only others need it.
func (s *session) hasShared() bool {
	return s.saved[keySharedNetwork] != "" && s.saved[keySharedSubnet] != "" && s.saved[keySharedRouter] != ""
}

// shared lists the network that early create made, with its subnet and router.
func (s *session) shared() []resources.Object {
	return []resources.Object{
		{Name: "shared_network", Fetch: s.network(s.admin, keySharedNetwork), Tolerated: moved(), Asked: map[string]any{
			"shared": true, "project_id": s.saved[keyShared+"project_id"], "status": "ACTIVE",
		}},
		{Name: "shared_subnet", Fetch: s.subnet(s.admin, keySharedSubnet)},
		{Name: "shared_router", Fetch: s.router(s.admin, keySharedRouter), Tolerated: moved()},
	}
}

func asAny(values map[string]int) map[string]any {
	result := map[string]any{}
	for key, value := range values {
		result[key] = value
	}
	return result
}

type fetch func(context.Context) (any, error)

func (s *session) network(client *gophercloud.ServiceClient, key string) fetch {
	return func(ctx context.Context) (any, error) {
		return resources.Member(networks.Get(ctx, client, s.saved[key]).Result, "network")
	}
}

func (s *session) subnet(client *gophercloud.ServiceClient, key string) fetch {
	return func(ctx context.Context) (any, error) {
		return resources.Member(subnets.Get(ctx, client, s.saved[key]).Result, "subnet")
	}
}

func (s *session) port(client *gophercloud.ServiceClient, key string) fetch {
	return func(ctx context.Context) (any, error) {
		return resources.Member(ports.Get(ctx, client, s.saved[key]).Result, "port")
	}
}

func (s *session) router(client *gophercloud.ServiceClient, key string) fetch {
	return func(ctx context.Context) (any, error) {
		return resources.Member(routers.Get(ctx, client, s.saved[key]).Result, "router")
	}
}

func (s *session) group(client *gophercloud.ServiceClient, key string) fetch {
	return func(ctx context.Context) (any, error) {
		return resources.Member(groups.Get(ctx, client, s.saved[key]).Result, "security_group")
	}
}

func (s *session) floating(client *gophercloud.ServiceClient, key string) fetch {
	return func(ctx context.Context) (any, error) {
		return resources.Member(floatingips.Get(ctx, client, s.saved[key]).Result, "floatingip")
	}
}

// ports are without what moves: whose it would be is in the path of a list's
// attributes, which no table can name.
func (s *session) ports(options ports.ListOpts) fetch {
	return func(ctx context.Context) (any, error) {
		found, err := resources.Collection(ctx, ports.List(s.admin, options), "ports")
		for _, port := range found {
			for _, each := range moved() {
				delete(port, each.Attribute)
			}
		}
		return found, err
	}
}

func (s *session) quota(project string) fetch {
	return func(ctx context.Context) (any, error) {
		return resources.Member(quotas.Get(ctx, s.owner, project).Result, "quota")
	}
}

func (s *session) used(project string) fetch {
	return func(ctx context.Context) (any, error) {
		body, err := resources.Member(quotas.GetDetail(ctx, s.owner, project).Result, "quota")
		if err != nil {
			return nil, err
		}
		each, ok := body.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("the answer is %T", body)
		}
		// Limits are in the quota itself.
		used := map[string]any{}
		for name, numbers := range each {
			if object, ok := numbers.(map[string]any); ok {
				used[name] = object["used"]
			}
		}
		return used, nil
	}
}

// extensions are the aliases of what the API can do. Neutron has no
// microversions: none of these may go with an upgrade.
func (s *session) extensions(ctx context.Context) (any, error) {
	list, err := s.list(ctx, "extensions", "extensions")
	if err != nil {
		return nil, err
	}
	aliases := map[string]bool{}
	for _, extension := range list {
		alias, ok := extension["alias"].(string)
		if !ok {
			return nil, errors.New("an extension has no alias")
		}
		aliases[alias] = true
	}
	return aliases, nil
}

// agents are neutron's own, with what identifies them and whether they live.
func (s *session) agents(ctx context.Context) (any, error) {
	list, err := resources.Collection(ctx, agents.List(s.admin, agents.ListOpts{}), "agents")
	if err != nil {
		return nil, err
	}
	for i, agent := range list {
		list[i] = map[string]any{}
		for _, attribute := range []string{"id", "agent_type", "binary", "host", "topic", "availability_zone", "admin_state_up", "alive"} {
			list[i][attribute] = agent[attribute]
		}
	}
	return list, nil
}

// hosts are the agents that have a network or a router in their care.
func (s *session) hosts(path string) fetch {
	return func(ctx context.Context) (any, error) {
		list, err := s.list(ctx, path, "agents")
		if err != nil {
			return nil, err
		}
		hosts := []string{}
		for _, agent := range list {
			hosts = append(hosts, fmt.Sprintf("%v on %v", agent["agent_type"], agent["host"]))
		}
		sort.Strings(hosts)
		return hosts, nil
	}
}

// list asks for a list that has one page.
func (s *session) list(ctx context.Context, path, member string) ([]map[string]any, error) {
	return list(ctx, s.admin, path, member)
}

func list(ctx context.Context, client *gophercloud.ServiceClient, path, member string) ([]map[string]any, error) {
	var answer map[string][]map[string]any
	if _, err := client.Get(ctx, client.ServiceURL(path), &answer, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}}); err != nil { //nolint:bodyclose // closed by gophercloud once decoded
		return nil, fmt.Errorf("list %s: %w", path, err)
	}
	found, ok := answer[member]
	if !ok {
		return nil, fmt.Errorf("list %s: the answer has no %s", path, member)
	}
	return found, nil
}

// waitSettled waits until every agent lives, and everything that agents do for
// the check's objects is done.
func (s *session) waitSettled(ctx context.Context) error {
	err := resources.WaitFor(ctx, resources.Wait{Object: "neutron's agents", Limit: settledWithin, Every: time.Second},
		func(ctx context.Context) (resources.Progress, error) {
			found, err := resources.Collection(ctx, agents.List(s.admin, agents.ListOpts{}), "agents")
			if err != nil {
				return resources.Progress{}, err
			}
			dead := []string{}
			for _, agent := range found {
				if agent["alive"] != true {
					dead = append(dead, fmt.Sprintf("%v on %v is dead", agent["agent_type"], agent["host"]))
				}
			}
			return resources.Progress{Done: len(dead) == 0, Status: strings.Join(dead, ", ")}, nil
		})
	if err != nil {
		return err
	}
	if s.hasShared() {
		if err := s.waitActive(ctx, s.saved[keySharedNetwork], ""); err != nil {
			return err
		}
	}
	return s.waitActive(ctx, s.saved[keyNetwork], s.saved[keyFloating])
}

// waitActive waits until the network's ports are wired, the world's side of its
// routers with them, and the floating IP, if one is named, is in use.
func (s *session) waitActive(ctx context.Context, network, floating string) error {
	return resources.WaitFor(ctx, resources.Wait{Object: "network " + network, Limit: settledWithin},
		func(ctx context.Context) (resources.Progress, error) {
			waiting, err := s.idle(ctx, network)
			if err != nil {
				return resources.Progress{}, err
			}
			if floating != "" {
				seen, err := floatingips.Get(ctx, s.admin, floating).Extract()
				if err != nil {
					return resources.Progress{}, err //nolint:wrapcheck // WaitFor names the network
				}
				if seen.Status != floatingips.StatusActive {
					waiting = append(waiting, "floating IP "+seen.FloatingIP+" "+seen.Status)
				}
			}
			return resources.Progress{Done: len(waiting) == 0, Status: strings.Join(waiting, ", ")}, nil
		})
}

// idle names the ports of a network and of its routers that carry no traffic yet.
// Ports that nobody has bound to a host never will.
func (s *session) idle(ctx context.Context, network string) ([]string, error) {
	found, err := resources.Collection(ctx, ports.List(s.admin, ports.ListOpts{NetworkID: network}), "ports")
	if err != nil {
		return nil, err
	}
	dhcp := false
	for _, port := range found {
		switch port["device_owner"] {
		case "network:dhcp":
			dhcp = true
		case "network:router_interface":
			more, err := resources.Collection(ctx, ports.List(s.admin, ports.ListOpts{
				DeviceID: fmt.Sprint(port["device_id"]), DeviceOwner: "network:router_gateway",
			}), "ports")
			if err != nil {
				return nil, err
			}
			found = append(found, more...)
		}
	}
	waiting := []string{}
	if !dhcp {
		waiting = append(waiting, "no DHCP port")
	}
	for _, port := range found {
		if port["status"] != "ACTIVE" && port["binding:vif_type"] != "unbound" {
			waiting = append(waiting, fmt.Sprintf("port %v (%v) %v", port["id"], port["device_owner"], port["status"]))
		}
	}
	return waiting, nil
}

// external returns the network that leads to the world, and the address of its
// gateway.
func external(ctx context.Context, admin *gophercloud.ServiceClient, name string) (network, gateway string, err error) {
	found, err := list(ctx, admin, "networks?router:external=True&name="+name, "networks")
	if err != nil {
		return "", "", err
	}
	if len(found) != 1 {
		return "", "", fmt.Errorf("the cloud has %d external networks called %s", len(found), name)
	}
	network = fmt.Sprint(found[0]["id"])
	subnets, err := list(ctx, admin, "subnets?ip_version=4&network_id="+network, "subnets")
	if err != nil {
		return "", "", err
	}
	for _, subnet := range subnets {
		if address, ok := subnet["gateway_ip"].(string); ok {
			return network, address, nil
		}
	}
	return "", "", fmt.Errorf("the external network %s (%s) has no gateway", name, network)
}
