package keystone

import (
	"context"
	"fmt"

	"grenade/resources"
)

// database is the name that DevStack, and this project's own tree, give it.
const database = "keystone"

// inside looks at keystone without keystone.
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

// locate saves where the key repositories are (keystone configuration
// reference, [fernet_tokens] and [credential] key_repository).
func (i *inside) locate(ctx context.Context) error {
	config, err := i.Config(ctx, "/etc/keystone/keystone.conf")
	if err != nil {
		return err
	}
	return i.memory.Save(ctx, map[string]string{
		keyFernet:     config.Get("fernet_tokens", "key_repository", "/etc/keystone/fernet-keys/"),
		keyCredential: config.Get("credential", "key_repository", "/etc/keystone/credential-keys/"),
	})
}

// objects lists what is compared while the API is down: the keys, by name and
// hash, and the rows of everything that create made. Hashes only: the store may
// be read by more people than the keys.
func (i *inside) objects() ([]resources.Object, error) {
	objects := []resources.Object{}
	for name, key := range map[string]string{"fernet_keys": keyFernet, "credential_keys": keyCredential} {
		dir, err := i.memory.Get(key)
		if err != nil {
			return nil, err
		}
		objects = append(objects, resources.Object{Name: name, Fetch: func(ctx context.Context) (any, error) {
			hashes, err := i.Hashes(ctx, dir)
			if err == nil && len(hashes) == 0 {
				return nil, &resources.Gone{What: "no keys in " + dir}
			}
			files := []map[string]string{}
			for file, hash := range hashes {
				files = append(files, map[string]string{"id": file, "sha256": hash})
			}
			return files, err
		}})
	}
	id := map[string]string{}
	for _, key := range []string{keyDomain, keyProject, keyUser, keyGroup, keyRole, keyAppCred} {
		value, err := i.memory.Get(key)
		if err != nil {
			return nil, err
		}
		if id[key], err = resources.Quote(value); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	// Columns are named one by one: a new release may add columns.
	for _, query := range []struct{ name, sql string }{
		{"rows_project", fmt.Sprintf("SELECT id, name, description, enabled, domain_id, is_domain, parent_id FROM project WHERE id IN (%s, %s) ORDER BY id", id[keyDomain], id[keyProject])},
		{"rows_project_tag", "SELECT project_id, name FROM project_tag WHERE project_id = " + id[keyProject] + " ORDER BY name"},
		{"rows_user", "SELECT id, enabled, default_project_id, domain_id, extra FROM user WHERE id = " + id[keyUser]},
		{"rows_local_user", "SELECT l.user_id, l.name, l.domain_id, SHA2(p.password_hash, 256) FROM local_user l JOIN password p ON p.local_user_id = l.id WHERE l.user_id = " + id[keyUser] + " ORDER BY p.id"},
		{"rows_group", "SELECT id, name, domain_id, description FROM `group` WHERE id = " + id[keyGroup]},
		{"rows_membership", "SELECT user_id, group_id FROM user_group_membership WHERE group_id = " + id[keyGroup] + " ORDER BY user_id"},
		{"rows_role", "SELECT id, name, domain_id, description FROM role WHERE id = " + id[keyRole]},
		{"rows_assignment", fmt.Sprintf("SELECT type, actor_id, target_id, role_id, inherited FROM assignment WHERE role_id = %s OR actor_id IN (%s, %s) ORDER BY 1, 2, 3, 4", id[keyRole], id[keyUser], id[keyGroup])},
		{"rows_application_credential", "SELECT a.id, a.name, a.user_id, a.project_id, a.unrestricted, a.expires_at, SHA2(a.secret_hash, 256), r.role_id FROM application_credential a JOIN application_credential_role r ON r.application_credential_id = a.internal_id WHERE a.id = " + id[keyAppCred] + " ORDER BY r.role_id"},
	} {
		objects = append(objects, i.RowsObject(query.name, database, query.sql))
	}
	return objects, nil
}
