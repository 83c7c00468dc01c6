package neutron

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/routers"

	"grenade/resources"
)

// database is the name that DevStack, and this project's own tree, give it.
const database = "neutron"

// inside looks at the network without neutron.
type inside struct {
	*resources.Inside
	saved map[string]string
}

func (c *check) inside() (*inside, error) {
	view, err := c.cloud.Inside()
	if err != nil {
		return nil, err
	}
	for _, key := range []string{keyNetwork, keyRouter, keyPort, keyAddress, keyAnswer, keyOutside, keyGroup} {
		if _, err := c.memory.Get(key); err != nil {
			return nil, err
		}
	}
	saved, err := c.memory.All()
	if err != nil {
		return nil, err
	}
	return &inside{Inside: view, saved: saved}, nil
}

// traffic lists what the probe can do. The lease comes first: it is what sets
// the probe's address.
func (i *inside) traffic() []resources.Object {
	return []resources.Object{
		{Name: "lease", Fetch: i.lease, Asked: map[string]any{
			"address": probeAddress, "prefix": 26, "dns": []string{nameServer},
		}},
		{Name: "reached", Fetch: i.reached, Asked: map[string]any{
			"router": answers, "outside": answers, "floating_ip_from_node": i.saved[keyAnswer], "floating_ip_from_host": i.saved[keyAnswer],
		}},
	}
}

func (i *inside) lease(ctx context.Context) (any, error) {
	terms, err := lease(ctx, i.Inside, i.saved[keyPort])
	if err != nil && ctx.Err() == nil {
		// It goes on: what else is not as it was may tell why.
		return nil, &resources.Gone{What: err.Error()}
	}
	return terms, err
}

// reached says what answers the probe, and whether the probe answers at its
// floating IP. A router that has lost the rule for that address answers pings in
// its own name; it does not know the probe's answer.
func (i *inside) reached(ctx context.Context) (any, error) {
	port, floating, answer := i.saved[keyPort], i.saved[keyAddress], i.saved[keyAnswer]
	questions := []struct {
		what, wanted string
		ask          func(context.Context) string
	}{
		{"router", answers, func(ctx context.Context) string { return pings(ctx, i.Inside, port, ownGateway) }},
		{"outside", answers, func(ctx context.Context) string { return pings(ctx, i.Inside, port, i.saved[keyOutside]) }},
		{"floating_ip_from_node", answer, func(ctx context.Context) string { return fromNode(ctx, i.Inside, floating) }},
		{"floating_ip_from_host", answer, func(ctx context.Context) string { return saidToHost(ctx, floating, openPort) }},
	}
	said := make([]string, len(questions))
	var all sync.WaitGroup
	for at, question := range questions {
		all.Go(func() { said[at] = until(ctx, question.wanted, question.ask) })
	}
	all.Wait()
	seen := map[string]string{}
	for at, question := range questions {
		seen[question.what] = said[at]
	}
	return seen, context.Cause(ctx)
}

func saidToHost(ctx context.Context, address string, port int) string {
	said, err := fromHost(ctx, address, port)
	if err != nil {
		return noAnswer(err.Error())
	}
	return said
}

// look runs the plugin's tool that lists what neutron has made on the node.
func (i *inside) look(ctx context.Context) (map[string]any, error) {
	out, err := python(ctx, i.Inside, lookTool, i.saved[keyNetwork], i.saved[keyRouter], i.saved[keyPort], i.saved[keyAddress])
	if err != nil {
		return nil, fmt.Errorf("look at the node: %w", err)
	}
	seen := map[string]any{}
	if err := json.Unmarshal(out, &seen); err != nil {
		return nil, fmt.Errorf("look at the node: %w", err)
	}
	seen["flows"] = condensed(seen["flows"])
	return seen, nil
}

// waitSettled waits until the agents have done on the node what the API has
// accepted: the router has its route, and two looks in a row see the same. Zed's
// API tells agents of some changes only when it is asked the next time, so it is
// asked.
func (i *inside) waitSettled(ctx context.Context, s *session) error {
	last := ""
	return resources.WaitFor(ctx, resources.Wait{Object: "what neutron makes on the node", Limit: settledWithin, Every: time.Second},
		func(ctx context.Context) (resources.Progress, error) {
			if err := routers.Get(ctx, s.owner, i.saved[keyRouter]).Err; err != nil {
				return resources.Progress{}, fmt.Errorf("router %s: %w", i.saved[keyRouter], err)
			}
			seen, err := i.look(ctx)
			if err != nil {
				return resources.Progress{}, err
			}
			text, err := json.Marshal(seen)
			if err != nil {
				return resources.Progress{}, fmt.Errorf("what is on the node: %w", err)
			}
			routed, same := strings.Contains(string(text), routerRoute), string(text) == last
			last = string(text)
			return resources.Progress{Done: routed && same, Status: fmt.Sprintf("route to %s: %t, the same as before: %t", routerRoute, routed, same)}, nil
		})
}

// condensed says how many rules each table has, and which, in few words: dozens
// of them change together. The plugin's resources.sh compares them line by line.
func condensed(flows any) any {
	tables, ok := flows.(map[string]any)
	if !ok {
		return flows // why there are none
	}
	brief := map[string]string{}
	for table, rules := range tables {
		text, err := json.Marshal(rules)
		list, ok := rules.([]any)
		if err != nil || !ok {
			return flows
		}
		brief[table] = fmt.Sprintf("%d rules with the hash %.8x", len(list), sha256.Sum256(text))
	}
	return brief
}

// node is what neutron has made on the node.
func (i *inside) node(stage resources.Stage) resources.Object {
	object := resources.Object{Name: "node", Fetch: func(ctx context.Context) (any, error) { return i.look(ctx) }}
	if stage == resources.PostUpgrade {
		object.Tolerated = []resources.Tolerated{
			{Attribute: "helpers.*", Reason: "a DHCP agent that starts anew starts dnsmasq anew"},
			{Attribute: "flows*", Reason: "each release of the agent writes its own rules; what they do is seen by the probe's traffic"},
		}
	}
	return object
}

// objects lists what is compared while the API is down, besides the traffic.
func (i *inside) objects() []resources.Object {
	list := []resources.Object{i.node(resources.PreUpgrade)}
	id := func(key string) string { return "'" + i.saved[key] + "'" }
	project := id("owner.project_id")
	described := " JOIN standardattributes a ON a.id = o.standard_attr_id"
	// Columns are named one by one: a new release may add columns.
	for _, query := range []struct{ name, sql string }{
		{"rows_network", "SELECT o.id, o.name, o.status, o.admin_state_up, o.project_id, o.mtu, a.description FROM networks o" + described + " WHERE o.id = " + id(keyNetwork)},
		{"rows_network_tag", "SELECT t.tag FROM tags t JOIN networks o ON o.standard_attr_id = t.standard_attr_id WHERE o.id = " + id(keyNetwork) + " ORDER BY t.tag"},
		{"rows_segment", "SELECT id, network_type, physical_network, segmentation_id FROM networksegments WHERE network_id = " + id(keyNetwork)},
		{"rows_subnet", "SELECT o.id, o.name, o.cidr, o.gateway_ip, o.enable_dhcp, o.network_id, a.description FROM subnets o" + described + " WHERE o.id = " + id(keySubnet)},
		{"rows_pool", "SELECT first_ip, last_ip FROM ipallocationpools WHERE subnet_id = " + id(keySubnet)},
		{"rows_subnet_route", "SELECT destination, nexthop FROM subnetroutes WHERE subnet_id = " + id(keySubnet)},
		{"rows_name_server", "SELECT address FROM dnsnameservers WHERE subnet_id = " + id(keySubnet)},
		{"rows_port", "SELECT o.id, o.name, o.mac_address, o.status, o.admin_state_up, o.device_id, o.device_owner, a.description FROM ports o" + described + " WHERE o.network_id = " + id(keyNetwork) + " ORDER BY o.id"},
		{"rows_address", "SELECT port_id, ip_address, subnet_id FROM ipallocations WHERE network_id = " + id(keyNetwork) + " ORDER BY ip_address"},
		{"rows_address_pair", "SELECT ip_address, mac_address FROM allowedaddresspairs WHERE port_id = " + id(keyPort)},
		{"rows_binding", "SELECT host, vif_type, vnic_type, status FROM ml2_port_bindings WHERE port_id = " + id(keyPort)},
		{"rows_router", "SELECT o.id, o.name, o.status, o.admin_state_up, o.gw_port_id, a.description FROM routers o" + described + " WHERE o.id = " + id(keyRouter)},
		{"rows_router_port", "SELECT port_id, port_type FROM routerports WHERE router_id = " + id(keyRouter) + " ORDER BY port_id"},
		{"rows_router_route", "SELECT destination, nexthop FROM routerroutes WHERE router_id = " + id(keyRouter)},
		{"rows_router_agent", "SELECT l3_agent_id FROM routerl3agentbindings WHERE router_id = " + id(keyRouter)},
		{"rows_network_agent", "SELECT dhcp_agent_id FROM networkdhcpagentbindings WHERE network_id = " + id(keyNetwork)},
		{"rows_security_group", "SELECT o.id, o.name, a.description FROM securitygroups o" + described + " WHERE o.id = " + id(keyGroup)},
		{"rows_security_group_rule", "SELECT id, direction, ethertype, protocol, port_range_min, port_range_max, remote_group_id, remote_ip_prefix FROM securitygrouprules WHERE security_group_id = " + id(keyGroup) + " ORDER BY id"},
		{"rows_port_security_group", "SELECT security_group_id FROM securitygroupportbindings WHERE port_id = " + id(keyPort)},
		{"rows_floating_ip", "SELECT o.id, o.floating_ip_address, o.fixed_ip_address, o.fixed_port_id, o.router_id, o.status, a.description FROM floatingips o" + described + " WHERE o.id = " + id(keyFloating)},
		{"rows_quota", "SELECT resource, `limit` FROM quotas WHERE project_id = " + project + " ORDER BY resource"},
	} {
		list = append(list, i.RowsObject(query.name, database, query.sql))
	}
	return list
}
