package glance

import (
	"context"
	"fmt"
	"path"
	"strings"

	"grenade/resources"
)

// database is the name that DevStack, and this project's own tree, give it.
const database = "glance"

// fileStore is the type of the store that keeps images as files.
const fileStore = "file"

// inside looks at glance without glance.
type inside struct {
	*resources.Inside
	memory *resources.Memory
}

func (c *check) inside() (*inside, error) {
	view, err := c.cloud.Inside()
	if err != nil {
		return nil, err
	}
	return &inside{Inside: view, memory: c.memory}, nil
}

// locate saves where the image's data is.
func (i *inside) locate(ctx context.Context, image string) error {
	config, err := i.Config(ctx, "/etc/glance/glance-api.conf")
	if err != nil {
		return err
	}
	store, dir := defaultStore(config)
	values := map[string]string{keyStore: store}
	if store == fileStore {
		values[keyFile] = path.Join(dir, image)
	}
	return i.memory.Save(ctx, values)
}

// defaultStore returns the type of the store that new images go to, and the
// directory of a file store (glance configuration reference: enabled_backends
// is a list of name:type and [glance_store] default_backend names one of them,
// whose options stand in [<name>]; without it, [glance_store] has them).
func defaultStore(config resources.Config) (kind, dir string) {
	const fallback = "/var/lib/glance/images/"
	section := "glance_store"
	kind = config.Get(section, "default_store", fileStore)
	if backends := config.Get("DEFAULT", "enabled_backends", ""); backends != "" {
		section = config.Get("glance_store", "default_backend", "")
		for backend := range strings.SplitSeq(backends, ",") {
			name, backendType, _ := strings.Cut(strings.TrimSpace(backend), ":")
			if name == section {
				kind = backendType
			}
		}
	}
	return kind, config.Get(section, "filesystem_store_datadir", fallback)
}

// unchecked says what VerifyNoAPI cannot look at.
func (i *inside) unchecked() error {
	store, err := i.memory.Get(keyStore)
	if err != nil {
		return err
	}
	if store == fileStore {
		return nil
	}
	return &resources.NotChecked{Reason: fmt.Sprintf("images are kept in a store of type %q; their rows were compared, their data was not", store)}
}

// objects lists what is compared while the API is down. want is nil but at create.
func (i *inside) objects(want *asked) ([]resources.Object, error) {
	image, err := i.memory.Get(keyImage)
	if err != nil {
		return nil, err
	}
	id, err := resources.Quote(image)
	if err != nil {
		return nil, err
	}
	objects := []resources.Object{}
	file, err := i.memory.Find(keyFile)
	if err != nil {
		return nil, err
	}
	if file != "" {
		object := resources.Object{Name: "stored_file", Fetch: func(ctx context.Context) (any, error) { return i.File(ctx, file) }}
		if want != nil {
			object.Asked = map[string]any{"size": want.data.Size, "sha256": want.data.SHA256}
		}
		objects = append(objects, object)
	}
	// Columns are named one by one: a new release may add columns.
	for _, query := range []struct{ name, sql string }{
		{"rows_image", "SELECT id, name, size, status, visibility, owner, checksum, os_hash_algo, os_hash_value, disk_format, container_format, min_disk, min_ram, protected, os_hidden, deleted, created_at FROM images WHERE id = " + id},
		{"rows_location", "SELECT value, status FROM image_locations WHERE deleted = 0 AND image_id = " + id + " ORDER BY value"},
		{"rows_property", "SELECT name, value FROM image_properties WHERE deleted = 0 AND image_id = " + id + " ORDER BY name"},
		{"rows_tag", "SELECT value FROM image_tags WHERE deleted = 0 AND image_id = " + id + " ORDER BY value"},
		{"rows_member", "SELECT member, status, can_share FROM image_members WHERE deleted = 0 AND image_id = " + id + " ORDER BY member"},
	} {
		objects = append(objects, i.RowsObject(query.name, database, query.sql))
	}
	return objects, nil
}
