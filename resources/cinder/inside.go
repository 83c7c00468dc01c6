package cinder

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/attachments"

	"grenade/resources"
)

// database is the name that DevStack, and this project's own tree, give it.
const database = "cinder"

// keyDriver is the kind of connection that cinder gave nova: "nfs", "iscsi".
const keyDriver = "driver_volume_type"

// fileDriver keeps each volume as a file in a directory: cinder's NFS driver.
const fileDriver = "nfs"

// inside looks at cinder without cinder.
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

// locate saves where the volumes are kept. For a volume in a file the connection
// names the share, "host:/directory", and the file in it.
func (i *inside) locate(ctx context.Context, s *session) error {
	values := map[string]string{}
	for _, what := range []string{dataVolume, layeredVolume} {
		attachment, err := attachments.Get(ctx, s.storage, s.saved[keyAttachment(what)]).Extract()
		if err != nil {
			return fmt.Errorf("attachment of volume %s: %w", s.saved[keyVolume(what)], err)
		}
		connection := attachment.ConnectionInfo
		values[keyDriver] = fmt.Sprint(connection["driver_volume_type"])
		if values[keyDriver] != fileDriver {
			continue
		}
		share, file := fmt.Sprint(connection["export"]), fmt.Sprint(connection["name"])
		_, directory, found := strings.Cut(share, ":")
		if !found || !path.IsAbs(directory) {
			return fmt.Errorf("volume %s: export %q is not host:/directory", s.saved[keyVolume(what)], share)
		}
		values[keyFile(what)] = path.Join(directory, file)
	}
	return i.check.memory.Save(ctx, values)
}

// unchecked says what VerifyNoAPI cannot look at.
func (i *inside) unchecked() error {
	driver, err := i.check.memory.Get(keyDriver)
	if err != nil {
		return err
	}
	if driver == fileDriver {
		return nil
	}
	return &resources.NotChecked{Reason: fmt.Sprintf(
		"volumes are connected by %q, not kept in files: the guest read them and their rows were compared, what lies below was not", driver)}
}

// objects lists what is compared while the APIs are down: what the guest sees
// on its floating address, the process that runs it, the files that it has open,
// the rows. want is nil but at create.
func (i *inside) objects(want *asked) ([]resources.Object, error) {
	saved, err := i.check.memory.All()
	if err != nil {
		return nil, err
	}
	responder, err := i.check.guest().Responder()
	if err != nil {
		return nil, err
	}
	server, err := i.check.guest().ServerID()
	if err != nil {
		return nil, err
	}
	guestOnly := &session{check: i.check, saved: saved, responder: responder}
	objects := guestOnly.guestObjects(want)
	for n := range objects {
		objects[n].Name = "noapi_" + objects[n].Name
	}
	objects = append(objects, resources.Object{Name: "qemu", Fetch: func(ctx context.Context) (any, error) { return i.qemu(ctx, server) }})
	if saved[keyDriver] == fileDriver {
		objects = append(objects, i.files(saved, server, want)...)
	}
	rows, err := i.rows(saved)
	return append(objects, rows...), err
}

// recordMoved records the rows that moving the layered volume has changed.
func (i *inside) recordMoved(ctx context.Context) error {
	saved, err := i.check.memory.All()
	if err != nil {
		return err
	}
	rows, err := i.rows(saved)
	if err != nil {
		return err
	}
	for _, object := range rows {
		if object.Name == rowsAttachment {
			return i.check.memory.Record(ctx, []resources.Object{object})
		}
	}
	return errors.New("no object " + rowsAttachment)
}

// rowsAttachment are the rows that say where volumes are attached.
const rowsAttachment = "rows_attachment"

// rows of the database. Columns are named one by one: a new release may add
// columns. Cinder keeps deleted rows and marks them.
func (i *inside) rows(saved map[string]string) ([]resources.Object, error) {
	project, err := i.check.owner().ProjectID()
	if err != nil {
		return nil, err
	}
	id := map[string]string{"project": project}
	for _, key := range []string{
		keyVolume(dataVolume), keyVolume(layeredVolume), keyVolume(offeredVolume), keySnapshot, keyType, keyTransfer,
	} {
		id[key] = saved[key]
	}
	for key, value := range id {
		if id[key], err = resources.Quote(value); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	volumes := "(" + id[keyVolume(dataVolume)] + ", " + id[keyVolume(layeredVolume)] + ", " + id[keyVolume(offeredVolume)] + ")"
	objects := []resources.Object{}
	for _, query := range []struct{ name, sql string }{
		{"rows_volume", "SELECT id, display_name, display_description, size, status, attach_status, migration_status, project_id, user_id, host, availability_zone, volume_type_id, snapshot_id, source_volid, bootable, multiattach, provider_location, use_quota, shared_targets, _name_id, launched_at, deleted FROM volumes WHERE deleted = 0 AND project_id = " + id["project"] + " ORDER BY id"},
		{"rows_metadata", "SELECT volume_id, `key`, value FROM volume_metadata WHERE deleted = 0 AND volume_id IN " + volumes + " ORDER BY 1, 2"},
		{"rows_admin_metadata", "SELECT volume_id, `key`, value FROM volume_admin_metadata WHERE deleted = 0 AND volume_id IN " + volumes + " ORDER BY 1, 2"},
		{"rows_image_metadata", "SELECT volume_id, `key`, value FROM volume_glance_metadata WHERE deleted = 0 AND volume_id IN " + volumes + " ORDER BY 1, 2"},
		{"rows_snapshot", "SELECT id, volume_id, display_name, display_description, status, volume_size, project_id, volume_type_id, use_quota FROM snapshots WHERE deleted = 0 AND project_id = " + id["project"] + " ORDER BY id"},
		{"rows_snapshot_metadata", "SELECT snapshot_id, `key`, value FROM snapshot_metadata WHERE deleted = 0 AND snapshot_id = " + id[keySnapshot] + " ORDER BY 2"},
		{rowsAttachment, "SELECT id, volume_id, instance_uuid, attached_host, mountpoint, attach_status, attach_mode, connection_info FROM volume_attachment WHERE deleted = 0 AND volume_id IN " + volumes + " ORDER BY volume_id, id"},
		{"rows_type", "SELECT id, name, description, is_public, qos_specs_id FROM volume_types WHERE deleted = 0 AND id = " + id[keyType]},
		{"rows_extra_spec", "SELECT `key`, value FROM volume_type_extra_specs WHERE deleted = 0 AND volume_type_id = " + id[keyType] + " ORDER BY 1"},
		{"rows_type_access", "SELECT project_id FROM volume_type_projects WHERE deleted = 0 AND volume_type_id = " + id[keyType] + " ORDER BY 1"},
		{"rows_quota", "SELECT resource, hard_limit FROM quotas WHERE deleted = 0 AND project_id = " + id["project"] + " ORDER BY 1"},
		{"rows_quota_usage", "SELECT resource, in_use, reserved FROM quota_usages WHERE deleted = 0 AND project_id = " + id["project"] + " ORDER BY 1"},
		{"rows_transfer", "SELECT id, volume_id, display_name, salt, crypt_hash, accepted, source_project_id, destination_project_id FROM transfers WHERE deleted = 0 AND id = " + id[keyTransfer]},
	} {
		objects = append(objects, i.RowsObject(query.name, database, query.sql))
	}
	return objects, nil
}
