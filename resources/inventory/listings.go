package inventory

// listings are the kinds of things that the services hold, by project. Users'
// own things, whoever made them; what a service sets up for itself (agents,
// services, traits) is no resource, and may change with the release.
func listings() map[string][]listing {
	return map[string][]listing{
		"keystone": {
			api("user", "identity", "v3/users", "users"),
			api("project", "identity", "v3/projects", "projects"),
			api("domain", "identity", "v3/domains", "domains"),
			api("group", "identity", "v3/groups", "groups"),
			api("credential", "identity", "v3/credentials", "credentials"),
			api("service", "identity", "v3/services", "services"),
			{kind: "endpoint", service: "identity", path: "v3/endpoints", member: "endpoints", name: "url"},
			rows("application credential", "keystone", "SELECT id, name FROM application_credential"),
			api("role", "identity", "v3/roles", "roles"),
			rows("role assignment", "keystone",
				"SELECT CONCAT_WS(' ', type, actor_id, target_id, role_id), '' FROM assignment WHERE target_id NOT IN (SELECT id FROM project)"),
		},
		"placement": {
			{kind: "resource provider", service: "placement", path: "resource_providers", member: "resource_providers", id: "uuid"},
			rows("allocation's consumer", "placement", "SELECT DISTINCT consumer_id, '' FROM allocations"),
			rows("custom resource class", "placement", "SELECT name, '' FROM resource_classes WHERE name LIKE 'CUSTOM\\_%'"),
			rows("custom trait", "placement", "SELECT name, '' FROM traits WHERE name LIKE 'CUSTOM\\_%'"),
		},
		"glance": {
			api("image", "image", "v2/images?limit=1000&visibility=all", "images"),
			node("image file", `find /var/lib/glance/images -mindepth 1 -maxdepth 1 -type f -printf '%f\t%s bytes\n'`),
		},
		"swift": {
			// Tombstones of objects, and databases that are marked deleted, stay until swift's
			// reclaim_age; data does not, nor does a container that is in use. An account is
			// not listed: where no reseller administrator deletes it, it outlives its project.
			node("container", `python3 - "$(sed -n 's/^devices *= *//p' /etc/swift/container-server.conf)" <<'END'
import glob, sqlite3, sys
for path in glob.glob(sys.argv[1] + "/*/containers/*/*/*/*.db"):
    database = sqlite3.connect("file:" + path + "?mode=ro", uri=True)
    for names in database.execute("SELECT account, container FROM container_info WHERE delete_timestamp <= put_timestamp"):
        # Swift's hidden containers have NUL bytes in their names.
        print("/".join(names).replace("\0", "."), path, sep="\t")
END
`),
			node("object's data file", `find "$(sed -n 's/^devices *= *//p' /etc/swift/object-server.conf)" -name '*.data' -printf '%p\t%s bytes\n'`),
		},
		"neutron": {
			api("network", "network", "v2.0/networks", "networks"),
			api("subnet", "network", "v2.0/subnets", "subnets"),
			{kind: "port", service: "network", path: "v2.0/ports", member: "ports", name: "device_owner"},
			api("router", "network", "v2.0/routers", "routers"),
			{kind: "floating IP", service: "network", path: "v2.0/floatingips", member: "floatingips", name: "floating_ip_address"},
			api("security group", "network", "v2.0/security-groups", "security_groups"),
			{kind: "RBAC policy", service: "network", path: "v2.0/rbac-policies", member: "rbac_policies", name: "object_type"},
			{kind: "quota", service: "network", path: "v2.0/quotas", member: "quotas", id: "tenant_id"},
			node("network namespace", `ip netns list | cut -d ' ' -f 1`),
			node("Open vSwitch port", `for bridge in $(ovs-vsctl list-br); do ovs-vsctl list-ports "$bridge"; done`),
			node("network device", `ip -o link show | sed 's/^[0-9]*: \([^:@]*\).*/\1/'`),
		},
		"nova": {
			api("server", "compute", "servers/detail?all_tenants=1", "servers"),
			api("flavor", "compute", "flavors/detail?is_public=None", "flavors"),
			api("server group", "compute", "os-server-groups?all_projects=1", "server_groups"),
			api("aggregate", "compute", "os-aggregates", "aggregates"),
			rows("keypair", "nova_api", "SELECT id, name FROM key_pairs"),
			rows("compute quota", "nova_api", "SELECT id, CONCAT_WS(' ', project_id, resource) FROM quotas"),
			node("libvirt domain", `virsh --quiet list --all --uuid | sed '/^$/d'`),
			node("instance's directory", `find /var/lib/nova/instances -mindepth 1 -maxdepth 1 -printf '%f\t\n'`),
			node("QEMU process", `for proc in /proc/[0-9]*; do
				if [[ $(readlink "$proc/exe" || :) == */qemu-system-* ]]; then
					tr '\0' '\n' <"$proc/cmdline" | grep -A 1 -x -e -uuid | tail -n 1
				fi
			done`),
		},
		"cinder": {
			api("volume", "block-storage", "volumes/detail?all_tenants=1", "volumes"),
			api("snapshot", "block-storage", "snapshots/detail?all_tenants=1", "snapshots"),
			api("volume type", "block-storage", "types?is_public=None", "volume_types"),
			api("backup", "block-storage", "backups/detail?all_tenants=1", "backups"),
			rows("volume attachment", "cinder", "SELECT id, volume_id FROM volume_attachment WHERE deleted = 0"),
			rows("volume quota", "cinder", "SELECT id, CONCAT_WS(' ', project_id, resource) FROM quotas WHERE deleted = 0"),
			rows("QoS specification", "cinder", "SELECT id, value FROM quality_of_service_specs WHERE deleted = 0 AND specs_id IS NULL"),
			node("file in a volume directory", `for share in $(sed 's/^[^:]*://' /etc/cinder/nfs_shares); do find "$share" -type f -printf '%p\t%s bytes\n'; done`),
			node("mount of a volume directory", `findmnt --raw --noheadings --output TARGET | grep -E '^/var/lib/(nova|cinder)/mnt/' || :`),
		},
	}
}

// Leftovers is what destroy leaves behind rightly.
func Leftovers() []Leftover {
	return []Leftover{
		{"instance's directory", "_base", "nova's cache of images: its periodic task removes what no server has used for a day"},
		{"instance's directory", "locks", "nova's lock files belong to the directory, not to a server"},
		{"instance's directory", "compute_nodes", "nova-compute registers itself on a shared directory"},
		{"security group", "default of project service", "neutron gives one to each project that asks it for anything; nova asks as the services' own project once there are guests"},
		{"network device", "ovs-", "the datapath's own device"},
		{"network namespace", "snat-", "of routers that are there; those of deleted routers go with their qrouter namespace"},
	}
}

func api(kind, service, path, member string) listing {
	return listing{kind: kind, service: service, path: path, member: member}
}

func rows(kind, database, query string) listing {
	return listing{kind: kind, database: database, query: query}
}

func node(kind, script string) listing { return listing{kind: kind, script: script} }
