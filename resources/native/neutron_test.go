//go:build cloud

package native_test

import (
	"net/http"
	"strings"
)

// network patches an object of neutron's.
func (b breaker) network(kind, key string, attributes map[string]any) {
	b.t.Helper()
	b.call("network", "PUT", "v2.0/"+kind+"s/"+b.saved[key], map[string]any{strings.ReplaceAll(kind, "-", "_"): attributes}, http.StatusOK)
}

// inRouter runs bash in the namespace of the check's router.
func (b breaker) inRouter(script string) {
	b.t.Helper()
	b.inside.shell(b.t, "ip netns exec qrouter-"+b.saved["router_id"]+" bash -euo pipefail -c '"+script+"'")
}

func neutronMutations() []mutation {
	const project = "neutron"
	patch := func(kind, key, attribute string, value any) func(breaker) {
		return func(b breaker) { b.network(kind, key, map[string]any{attribute: value}) }
	}
	sql := func(format, key string) func(breaker) {
		return func(b breaker) { b.sql("neutron", format, b.saved[key]) }
	}
	// start has an agent see to everything anew.
	start := func(unit string) func(breaker) {
		return func(b breaker) { b.inside.shell(b.t, "systemctl restart "+unit) }
	}
	return []mutation{
		{project: project, name: "network renamed", change: patch("network", "network_id", "name", "x"),
			api: []string{"network.name", "network_seen_by_owner.name"}, noapi: []string{"rows_network"}},
		{project: project, name: "network described anew", change: patch("network", "network_id", "description", "?"),
			api: []string{"network.description"}, noapi: []string{"rows_network"}},
		{project: project, name: "network's tag removed", change: func(b breaker) {
			b.call("network", "DELETE", "v2.0/networks/"+b.saved["network_id"]+"/tags/upgrade", nil, http.StatusNoContent)
		}, api: []string{"network.tags"}, noapi: []string{"rows_network_tag"}},
		{project: project, name: "segment's number changed in its row",
			change: sql("UPDATE networksegments SET segmentation_id = segmentation_id + 500 WHERE network_id = '%s';", "network_id"),
			api:    []string{"network.provider:segmentation_id"}, noapi: []string{"rows_segment"}},
		{project: project, name: "name server changed", change: patch("subnet", "subnet_id", "dns_nameservers", []string{"192.0.2.54"}),
			api: []string{"subnet.dns_nameservers"}, noapi: []string{"rows_name_server"}},
		{project: project, name: "subnet's route removed", change: patch("subnet", "subnet_id", "host_routes", []any{}),
			api: []string{"subnet.host_routes"}, noapi: []string{"rows_subnet_route"}},
		{project: project, name: "port's address changed in its row",
			change: sql("UPDATE ipallocations SET ip_address = '192.168.231.33' WHERE port_id = '%s';", "port_id"),
			api:    []string{"port.fixed_ips", "port_seen_by_owner.fixed_ips"}, noapi: []string{"rows_address"}},
		{project: project, name: "port's security group taken away", change: patch("port", "port_id", "security_groups", []string{}),
			api: []string{"port.security_groups"}, noapi: []string{"rows_port_security_group"}},
		{project: project, name: "port unbound in its row",
			change: sql("UPDATE ml2_port_bindings SET vif_type = 'unbound' WHERE port_id = '%s';", "port_id"),
			api:    []string{"port.binding:vif_type"}, noapi: []string{"rows_binding"}},
		{project: project, name: "port added to the network", change: func(b breaker) {
			b.call("network", "POST", "v2.0/ports", map[string]any{"port": map[string]any{
				"network_id": b.saved["network_id"], "project_id": b.saved["owner.project_id"],
			}}, http.StatusCreated)
		}, api: []string{"ports_of_network[]", "quota_used.port"}, noapi: []string{"rows_port"}},
		{project: project, name: "router's route removed", change: patch("router", "router_id", "routes", []any{}),
			api: []string{"router.routes"}, noapi: []string{"rows_router_route"}},
		{project: project, name: "rule removed by API", change: func(b breaker) {
			rules := b.call("network", "GET", "v2.0/security-group-rules?protocol=tcp&security_group_id="+b.saved["security_group_id"], nil, http.StatusOK)
			id := rules.(map[string]any)["security_group_rules"].([]any)[0].(map[string]any)["id"].(string)
			b.call("network", "DELETE", "v2.0/security-group-rules/"+id, nil, http.StatusNoContent)
		}, api: []string{"security_group.security_group_rules[]"}, noapi: []string{"rows_security_group_rule"}},
		{project: project, name: "rule's row deleted",
			change: sql("DELETE FROM securitygrouprules WHERE protocol = 'icmp' AND security_group_id = '%s';", "security_group_id"),
			api:    []string{"security_group.security_group_rules[]"}, noapi: []string{"rows_security_group_rule"}},
		{project: project, name: "quota changed", change: func(b breaker) {
			b.call("network", "PUT", "v2.0/quotas/"+b.saved["owner.project_id"], map[string]any{"quota": map[string]any{"port": 44}}, http.StatusOK)
		}, api: []string{"quota.port"}, noapi: []string{"rows_quota"}},
		{project: project, name: "floating IP removed by API", change: func(b breaker) {
			b.call("network", "DELETE", "v2.0/floatingips/"+b.saved["floating_ip_id"], nil, http.StatusNoContent)
		}, api: []string{"floating_ip"}, noapi: []string{"rows_floating_ip"}},
		{project: project, name: "agent switched off in its row",
			change: func(b breaker) {
				b.sql("neutron", "UPDATE agents SET admin_state_up = 0 WHERE agent_type = 'L3 agent';")
			},
			undo: func(b breaker) { b.sql("neutron", "UPDATE agents SET admin_state_up = 1;") },
			api:  []string{"agents[*].admin_state_up"}},
		{project: project, name: "floating IP's rule dropped from the router", change: func(b breaker) {
			b.inRouter(`iptables -t nat -S | grep -- "-j DNAT --to-destination 192.168.231.20" | sed s/^-A/-D/ | while read -r rule; do iptables -t nat $rule; done`)
		}, api: []string{"reached.floating_ip_from_host", "reached.floating_ip_from_node", "node.nat"},
			noapi: []string{"reached.floating_ip_from_host", "reached.floating_ip_from_node", "node.nat"}},
		{project: project, name: "router's namespace deleted", change: func(b breaker) {
			// A process in it would keep it.
			b.inside.shell(b.t, `ns=qrouter-`+b.saved["router_id"]+`; ip netns pids $ns | xargs -r kill -9; ip netns delete $ns`)
		}, undo: start("neutron-l3-agent"),
			api:   []string{"node.router*", "reached.router", "reached.outside", "reached.floating_ip_from_host"},
			noapi: []string{"node.router*", "reached.router", "reached.outside", "reached.floating_ip_from_host"}},
		{project: project, name: "dnsmasq killed", change: func(b breaker) {
			// Or the agent would start another within the minute.
			b.inside.shell(b.t, `systemctl stop neutron-dhcp-agent; for pid in $(ip netns pids qdhcp-`+b.saved["network_id"]+`); do [[ $(cat /proc/$pid/comm) != dnsmasq ]] || kill -9 $pid; done`)
		}, undo: start("neutron-dhcp-agent"),
			api: []string{"lease"}, noapi: []string{"lease", "node.helpers.dhcp*"}},
		{project: project, name: "probe's port taken from Open vSwitch", change: func(b breaker) {
			b.inside.shell(b.t, `ovs-vsctl del-port br-int tap`+b.saved["port_id"][:11])
		}, api: []string{"node.port*", "lease", "reached.router", "reached.floating_ip_from_host"},
			noapi: []string{"node.port*", "node.flows*", "lease", "reached.router", "reached.floating_ip_from_host"}},
		{project: project, name: "firewall's rules lost", change: func(b breaker) {
			b.inside.shell(b.t, `for table in 81 82; do ovs-ofctl del-flows br-int table=$table; done`)
		}, undo: start("neutron-openvswitch-agent"),
			api: []string{"reached.floating_ip_from_host"}, noapi: []string{"node.flows*", "reached.floating_ip_from_host"}},
	}
}
