package nova

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"strings"

	"grenade/resources"
)

// configFile is where nova's configuration is in the node.
const configFile = "/etc/nova/nova.conf"

// placementDatabase is the name that DevStack, and this project's own tree, give it.
const placementDatabase = "placement"

// inside looks at nova without nova.
type inside struct {
	*resources.Inside
	check *check
}

func (c *check) inside() (*inside, error) {
	view, err := c.cloud.Inside()
	if err != nil {
		return nil, err
	}
	return &inside{Inside: view, check: c}, nil
}

// locate saves which databases hold the server.
func (i *inside) locate(ctx context.Context) error {
	config, err := i.Config(ctx, configFile)
	if err != nil {
		return err
	}
	api := databaseOf(config.Get("api_database", "connection", ""))
	if api == "" {
		return fmt.Errorf("%s names no [api_database] connection", configFile)
	}
	server, err := i.server()
	if err != nil {
		return err
	}
	rows, err := i.Rows(ctx, api, "SELECT c.database_connection FROM cell_mappings c JOIN instance_mappings m ON m.cell_id = c.id WHERE m.instance_uuid = "+server)
	if err != nil {
		return err
	}
	if len(rows) != 1 {
		return fmt.Errorf("server %s is in %d cells, not in one", server, len(rows))
	}
	cell := databaseOf(rows[0])
	if strings.Contains(rows[0], "{") {
		// A template, filled from the [database] connection of whoever reads it
		// (nova's cells documentation, "Template URLs in Cell Mappings").
		cell = databaseOf(config.Get("database", "connection", ""))
	}
	if cell == "" {
		return fmt.Errorf("the connection of the cell of server %s names no database", server)
	}
	return i.check.memory.Save(ctx, map[string]string{keyAPIDatabase: api, keyCellDatabase: cell})
}

// databaseOf returns the last part of "mysql+pymysql://user:password@host/nova?charset=utf8".
func databaseOf(connection string) string {
	parsed, err := url.Parse(connection)
	if err != nil {
		return ""
	}
	return strings.Trim(path.Base(parsed.Path), "/.")
}

// server is the server's id as an SQL string.
func (i *inside) server() (string, error) {
	id, err := i.check.guest().ServerID()
	if err != nil {
		return "", err
	}
	return resources.Quote(id)
}

// qemu finds the one process that runs a server: libvirt starts it with the
// server's id as -uuid. Its start time is in clock ticks since the node's boot
// (proc(5), field 22 of stat).
func (i *inside) qemu(ctx context.Context, server string) (any, error) {
	lines, err := i.Lines(ctx, `set -euo pipefail
for proc in /proc/[0-9]*; do
    [[ $(readlink "$proc/exe" || :) == */qemu-* ]] || continue
    mapfile -d '' -t words <"$proc/cmdline"
    for ((n = 0; n + 1 < ${#words[@]}; n++)); do
        [[ ${words[n]} == -uuid && ${words[n + 1]} == '`+server+`' ]] || continue
        stat=$(<"$proc/stat")
        read -r -a fields <<<"${stat##*) }"
        echo "process ${proc#/proc/} ${fields[19]}"
    done
done
state=$(virsh --quiet --connect qemu:///system domstate '`+server+`' 2>&1 | sed '/^$/d' | tail -n 1) || :
echo "domain $state"`)
	if err != nil {
		return nil, fmt.Errorf("look for the QEMU process of server %s: %w", server, err)
	}
	facts := map[string]any{}
	processes := 0
	for _, line := range lines {
		kind, rest, _ := strings.Cut(line, " ")
		if kind == "domain" {
			facts["domain"] = rest
			continue
		}
		processes++
		pid, started, _ := strings.Cut(rest, " ")
		facts["pid"], facts["started"] = pid, started
	}
	if processes != 1 {
		return nil, &resources.Gone{What: fmt.Sprintf("%d QEMU processes run the server; libvirt says of it: %v", processes, facts["domain"])}
	}
	return facts, nil
}

// leftOf says what the node still has of a server.
func (i *inside) leftOf(ctx context.Context, server string) ([]string, error) {
	config, err := i.Config(ctx, configFile)
	if err != nil {
		return nil, err
	}
	state := config.Get("DEFAULT", "state_path", "/var/lib/nova")
	directory := path.Join(strings.ReplaceAll(config.Get("DEFAULT", "instances_path", "$state_path/instances"), "$state_path", state), server)
	lines, err := i.Lines(ctx, `set -euo pipefail
virsh --quiet --connect qemu:///system list --all --uuid | sed -n 's/^`+server+`$/libvirt domain &/p'
if [[ -e '`+directory+`' ]]; then echo 'directory `+directory+`'; fi`)
	if err != nil {
		return nil, fmt.Errorf("look for what is left of server %s: %w", server, err)
	}
	return lines, nil
}

// remembersFormer fails when the database has no row of the server that create has
// made and removed, with the host that it was on: then unmigrated could not fail.
func (i *inside) remembersFormer(ctx context.Context) error {
	former, err := i.check.former().ServerID()
	if err != nil {
		return err
	}
	server, err := resources.Quote(former)
	if err != nil {
		return err
	}
	cell, err := i.check.memory.Get(keyCellDatabase)
	if err != nil {
		return err
	}
	rows, err := i.Rows(ctx, cell, "SELECT host FROM instances WHERE deleted <> 0 AND host IS NOT NULL AND uuid = "+server)
	if err != nil {
		return err
	}
	if len(rows) != 1 {
		return fmt.Errorf("database %s has %d rows of the deleted server %s with its host, not one", cell, len(rows), former)
	}
	return nil
}

// unmigrated lists the servers that nova's online data migrations have not reached:
// since 2023.2 (nova's migration populate_instance_compute_id) the row of a server
// on a host names its compute node by id, too. Earlier releases have no such column.
// Of the servers that it runs, nova-compute sees to it itself, soon after it has
// started (nova, _ensure_compute_id_for_instances); so it is the rows of deleted
// servers that tell whether the migrations were run.
func (i *inside) unmigrated(ctx context.Context) ([]string, error) {
	cell, err := i.check.memory.Get(keyCellDatabase)
	if err != nil {
		return nil, err
	}
	schema, err := resources.Quote(cell)
	if err != nil {
		return nil, err
	}
	column, err := i.Rows(ctx, cell, "SELECT column_name FROM information_schema.columns WHERE table_schema = "+schema+
		" AND table_name = 'instances' AND column_name = 'compute_id'")
	if err != nil || len(column) == 0 {
		return nil, err
	}
	return i.Rows(ctx, cell, "SELECT uuid FROM instances WHERE host IS NOT NULL AND compute_id IS NULL ORDER BY uuid")
}

// objects lists what is compared while the API is down, beside the guest's run.
// Columns are named one by one: a new release may add columns.
func (i *inside) objects() ([]resources.Object, error) {
	saved, err := i.check.memory.All()
	if err != nil {
		return nil, err
	}
	server, err := i.server()
	if err != nil {
		return nil, err
	}
	quoted := map[string]string{}
	for _, key := range []string{keyFlavor, keyServerGroup, keyName, "owner.project_id", "owner.user_id"} {
		if quoted[key], err = resources.Quote(saved[key]); err != nil {
			return nil, err
		}
	}
	api, cell := saved[keyAPIDatabase], saved[keyCellDatabase]
	flavor, group := quoted[keyFlavor], quoted[keyServerGroup]
	objects := []resources.Object{}
	for _, query := range []struct{ name, database, sql string }{
		{"rows_flavor", api, "SELECT flavorid, name, memory_mb, vcpus, root_gb, ephemeral_gb, swap, rxtx_factor, is_public, disabled, description FROM flavors WHERE flavorid = " + flavor},
		{"rows_extra_spec", api, "SELECT s.`key`, s.value FROM flavor_extra_specs s JOIN flavors f ON f.id = s.flavor_id WHERE f.flavorid = " + flavor + " ORDER BY s.`key`"},
		{"rows_flavor_access", api, "SELECT p.project_id FROM flavor_projects p JOIN flavors f ON f.id = p.flavor_id WHERE f.flavorid = " + flavor},
		{"rows_keypair", api, "SELECT name, fingerprint, public_key, type, created_at FROM key_pairs WHERE user_id = " + quoted["owner.user_id"] + " ORDER BY name"},
		{"rows_group", api, "SELECT g.uuid, g.name, g.project_id, g.user_id, p.policy FROM instance_groups g JOIN instance_group_policy p ON p.group_id = g.id WHERE g.uuid = " + group},
		{"rows_group_member", api, "SELECT m.instance_uuid FROM instance_group_member m JOIN instance_groups g ON g.id = m.group_id WHERE g.uuid = " + group},
		{"rows_quota", api, "SELECT resource, hard_limit FROM quotas WHERE project_id = " + quoted["owner.project_id"] + " ORDER BY resource"},
		{"rows_instance_mapping", api, "SELECT m.instance_uuid, m.project_id, m.user_id, m.queued_for_delete, c.uuid FROM instance_mappings m JOIN cell_mappings c ON c.id = m.cell_id WHERE m.instance_uuid = " + server},
		// Without the connections: they hold passwords.
		{"rows_cell", api, "SELECT uuid, name, disabled FROM cell_mappings ORDER BY uuid"},
		{"rows_host", api, "SELECT h.host, c.uuid FROM host_mappings h JOIN cell_mappings c ON c.id = h.cell_id ORDER BY h.host"},
		{"rows_instance", cell, "SELECT uuid, display_name, hostname, project_id, user_id, host, node, vm_state, power_state, task_state, memory_mb, vcpus, root_gb, image_ref, kernel_id, ramdisk_id, key_name, availability_zone, root_device_name, reservation_id, created_at, launched_at, deleted, locked, hidden FROM instances WHERE uuid = " + server},
		{"rows_metadata", cell, "SELECT `key`, value FROM instance_metadata WHERE deleted = 0 AND instance_uuid = " + server + " ORDER BY `key`"},
		{"rows_tag", cell, "SELECT tag FROM tags WHERE resource_id = " + server + " ORDER BY tag"},
		{"rows_interface", cell, "SELECT uuid, address FROM virtual_interfaces WHERE deleted = 0 AND instance_uuid = " + server + " ORDER BY uuid"},
		{"rows_disk", cell, "SELECT source_type, destination_type, device_name, boot_index, image_id, volume_id, attachment_id FROM block_device_mapping WHERE deleted = 0 AND instance_uuid = " + server + " ORDER BY id"},
		{"rows_allocation", placementDatabase, "SELECT p.uuid, r.name, a.used FROM allocations a JOIN resource_providers p ON p.id = a.resource_provider_id JOIN resource_classes r ON r.id = a.resource_class_id WHERE a.consumer_id = " + server + " ORDER BY r.name"},
	} {
		objects = append(objects, i.RowsObject(query.name, query.database, query.sql))
	}
	return objects, nil
}
