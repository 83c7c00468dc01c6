//go:build cloud

package native_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	. "github.com/onsi/gomega"
)

// call sends one request as administrator. path starts below the endpoint;
// identity's with "v3/". want is the status that says that the mutation worked.
func (b breaker) call(service, method, path string, body any, want int, headers ...string) any {
	b.t.Helper()
	g, ctx := NewWithT(b.t), b.t.Context()
	provider, err := b.cloud.AsAdmin(ctx)
	g.Expect(err).NotTo(HaveOccurred())
	base := strings.TrimSuffix(strings.TrimSuffix(b.cloud.AuthURL, "/"), "v3")
	if service != "identity" {
		client, err := b.cloud.Service(provider, service, "")
		g.Expect(err).NotTo(HaveOccurred())
		base = client.Endpoint
	}
	var answer any
	options := gophercloud.RequestOpts{
		JSONBody: body, OkCodes: []int{want},
		MoreHeaders: map[string]string{"OpenStack-API-Version": "placement 1.39"},
	}
	if want == http.StatusOK || want == http.StatusCreated {
		options.JSONResponse = &answer
	}
	for i := 0; i+1 < len(headers); i += 2 {
		options.MoreHeaders[headers[i]] = headers[i+1]
	}
	_, err = provider.Request(context.WithoutCancel(ctx), method, base+path, &options) //nolint:bodyclose // closed by gophercloud once decoded
	g.Expect(err).NotTo(HaveOccurred(), "the mutation itself")
	return answer
}

// identity patches an object of keystone.
func (b breaker) identity(kind, key, attribute string, value any) {
	b.t.Helper()
	b.call("identity", "PATCH", "v3/"+kind+"s/"+b.saved[key], map[string]any{kind: map[string]any{attribute: value}}, http.StatusOK)
}

// image patches the image.
func (b breaker) image(op, attribute string, value any) {
	b.t.Helper()
	change := map[string]any{"op": op, "path": "/" + attribute}
	if op != "remove" {
		change["value"] = value
	}
	b.call("image", "PATCH", "v2/images/"+b.saved["image_id"], []any{change}, http.StatusOK,
		"Content-Type", "application/openstack-images-v2.1-json-patch")
}

// provider fetches one of placement's documents, lets a function change it and
// puts it back.
func (b breaker) provider(key, part string, change func(document map[string]any)) {
	b.t.Helper()
	path := "resource_providers/" + b.saved[key]
	if part != "" {
		path += "/" + part
	}
	document, ok := b.call("placement", "GET", path, nil, http.StatusOK).(map[string]any)
	NewWithT(b.t).Expect(ok).To(BeTrue())
	change(document)
	b.call("placement", "PUT", path, document, http.StatusOK)
}

func mutations() []mutation {
	all := append(keystoneMutations(), keystoneInsideMutations()...)
	all = append(all, glanceMutations()...)
	all = append(all, neutronMutations()...)
	all = append(all, swiftMutations()...)
	return append(all, placementMutations()...)
}

func keystoneMutations() []mutation {
	const project = "keystone"
	patch := func(kind, key, attribute string, value any) func(breaker) {
		return func(b breaker) { b.identity(kind, key, attribute, value) }
	}
	return []mutation{
		{project: project, name: "domain described anew", change: patch("domain", "domain_id", "description", "x"),
			api: []string{"domain.description"}, noapi: []string{"rows_project"}},
		{project: project, name: "project renamed", change: patch("project", "project_id", "name", "x"), api: []string{"project.name"}},
		{project: project, name: "project disabled", change: patch("project", "project_id", "enabled", false),
			api: []string{"project.enabled", "login_by_password", "old_token"}},
		{project: project, name: "project tag removed", change: func(b breaker) {
			b.call("identity", "DELETE", "v3/projects/"+b.saved["project_id"]+"/tags/upgrade", nil, http.StatusNoContent)
		}, api: []string{"project.tags"}, noapi: []string{"rows_project_tag"}},
		{project: project, name: "user renamed", change: patch("user", "user_id", "name", "x"),
			api: []string{"user.name", "login_by_password.user.name"}, noapi: []string{"rows_local_user"}},
		{project: project, name: "user's email changed", change: patch("user", "user_id", "email", "x"), api: []string{"user.email"}},
		{project: project, name: "user shows something new", change: patch("user", "user_id", "shoe_size", "44"),
			api: []string{"user.shoe_size"}, onlyBefore: true},
		{project: project, name: "password changed", change: patch("user", "user_id", "password", "x"),
			api: []string{"login_by_password", "login_through_group", "old_token"}, noapi: []string{"rows_local_user"}},
		{project: project, name: "user disabled", change: patch("user", "user_id", "enabled", false), api: []string{"user.enabled", "old_token"}},
		{project: project, name: "group renamed", change: patch("group", "group_id", "name", "x"), api: []string{"group.name"}, noapi: []string{"rows_group"}},
		{project: project, name: "user left the group", change: func(b breaker) {
			b.call("identity", "DELETE", "v3/groups/"+b.saved["group_id"]+"/users/"+b.saved["user_id"], nil, http.StatusNoContent)
		}, api: []string{"group_members", "login_through_group"}, noapi: []string{"rows_membership"}},
		{project: project, name: "role renamed", change: patch("role", "role_id", "name", "x-renamed-by-test"),
			api: []string{"role.name", "login_by_password.roles[*].name"}, noapi: []string{"rows_role"}},
		{project: project, name: "role taken away", change: func(b breaker) {
			b.call("identity", "DELETE", "v3/projects/"+b.saved["project_id"]+"/users/"+b.saved["user_id"]+"/roles/"+b.saved["role_id"], nil, http.StatusNoContent)
		}, api: []string{"user_assignments", "login_by_password"}, noapi: []string{"rows_assignment"}},
		{project: project, name: "role given on the domain, too", change: func(b breaker) {
			b.call("identity", "PUT", "v3/domains/"+b.saved["domain_id"]+"/users/"+b.saved["user_id"]+"/roles/"+b.saved["role_id"], nil, http.StatusNoContent)
		}, api: []string{"user_assignments"}, noapi: []string{"rows_assignment"}},
		{project: project, name: "user's row deleted", change: func(b breaker) {
			b.sql("keystone", "SET FOREIGN_KEY_CHECKS=0; DELETE FROM user WHERE id='%s';", b.saved["user_id"])
		}, api: []string{"user"}, noapi: []string{"rows_user"}},
		{project: project, name: "project's row deleted", change: func(b breaker) {
			b.sql("keystone", "SET FOREIGN_KEY_CHECKS=0; DELETE FROM project_tag WHERE project_id='%[1]s'; DELETE FROM project WHERE id='%[1]s';", b.saved["project_id"])
		}, api: []string{"project"}, noapi: []string{"rows_project"}},
		{project: project, name: "assignment's row deleted", change: func(b breaker) {
			b.sql("keystone", "DELETE FROM assignment WHERE actor_id='%s';", b.saved["group_id"])
		}, api: []string{"group_assignments"}, noapi: []string{"rows_assignment"}},
		{project: project, name: "application credential's row deleted", change: func(b breaker) {
			b.sql("keystone", "DELETE FROM application_credential WHERE id='%s';", b.saved["application_credential_id"])
		}, api: []string{"application_credential", "login_by_application_credential"}, noapi: []string{"rows_application_credential"}},
		{project: project, name: "application credential's secret changed", change: func(b breaker) {
			b.sql("keystone", "UPDATE application_credential SET secret_hash = (SELECT password_hash FROM password LIMIT 1) WHERE id='%s';", b.saved["application_credential_id"])
		}, api: []string{"login_by_application_credential"}, noapi: []string{"rows_application_credential"}},
		{project: project, name: "token revoked", change: func(b breaker) {
			b.call("identity", "DELETE", "v3/auth/tokens", nil, http.StatusNoContent, "X-Subject-Token", b.saved["token"])
		}, api: []string{"old_token", "old_token_seen_by_admin"}},
		{project: project, name: "service added", change: func(b breaker) {
			b.call("identity", "POST", "v3/services", map[string]any{"service": map[string]any{"type": "grenade-test", "name": "grenade-test"}}, http.StatusCreated)
		}, undo: func(b breaker) {
			b.sql("keystone", "DELETE FROM service WHERE type='grenade-test';")
		}, api: []string{"services[]"}},
		{project: project, name: "endpoint moved", change: func(b breaker) {
			b.sql("keystone", "UPDATE endpoint SET url = CONCAT(url, '#') WHERE interface='admin';")
		}, undo: func(b breaker) {
			b.sql("keystone", "UPDATE endpoint SET url = TRIM(TRAILING '#' FROM url);")
		}, api: []string{"endpoints[*].url"}},
	}
}

func keystoneInsideMutations() []mutation {
	const project = "keystone"
	// newKeys leaves as many keys as there were, each another.
	const newKeys = `cd /etc/keystone/fernet-keys; rm -rf /root/kept; cp -a . /root/kept; for f in *; do head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' > "$f"; done`
	return []mutation{
		{project: project, name: "token keys replaced", change: func(b breaker) { b.inside.shell(b.t, newKeys) },
			undo: func(b breaker) {
				b.inside.shell(b.t, `cp -a /root/kept/. /etc/keystone/fernet-keys/`)
			},
			api: []string{"old_token", "old_token_seen_by_admin"}, noapi: []string{"fernet_keys[*].sha256"}},
		{project: project, name: "token key added", change: func(b breaker) { b.inside.shell(b.t, `cp -a /etc/keystone/fernet-keys/0 /etc/keystone/fernet-keys/99`) },
			undo:  func(b breaker) { b.inside.shell(b.t, `rm -f /etc/keystone/fernet-keys/99`) },
			noapi: []string{"fernet_keys[]"}},
		{project: project, name: "token keys gone", change: func(b breaker) { b.inside.shell(b.t, `mv /etc/keystone/fernet-keys /root/moved`) },
			undo:  func(b breaker) { b.inside.shell(b.t, `mv /root/moved /etc/keystone/fernet-keys`) },
			noapi: []string{"fernet_keys"}},
		{project: project, name: "credential key touched", change: func(b breaker) { b.inside.shell(b.t, `printf x >> /etc/keystone/credential-keys/0`) },
			undo:  func(b breaker) { b.inside.shell(b.t, `truncate -s -1 /etc/keystone/credential-keys/0`) },
			noapi: []string{"credential_keys[0].sha256"}},
	}
}

func glanceMutations() []mutation {
	const project = "glance"
	patch := func(op, attribute string, value any) func(breaker) {
		return func(b breaker) { b.image(op, attribute, value) }
	}
	return []mutation{
		{project: project, name: "renamed", change: patch("replace", "name", "x"), api: []string{"image.name", "image_seen_by_member.name"}, noapi: []string{"rows_image"}},
		{project: project, name: "property changed", change: patch("replace", "grenade_note", "x"), api: []string{"image.grenade_note"}, noapi: []string{"rows_property"}},
		{project: project, name: "property removed", change: patch("remove", "grenade_empty", nil), api: []string{"image.grenade_empty"}, noapi: []string{"rows_property"}},
		{project: project, name: "property added", change: func(b breaker) {
			b.image("add", "x", "y")
			// updated_at, by which it shows after the upgrade, counts seconds: the last change must not fall into create's.
			for i, end := 0, time.Now().Add(time.Second); time.Now().Before(end); i++ {
				b.image("replace", "x", fmt.Sprint(i))
			}
		}, api: []string{"image.updated_at"}, noapi: []string{"rows_property"}},
		{project: project, name: "tags changed", change: patch("replace", "tags", []string{"before"}), api: []string{"image.tags"}, noapi: []string{"rows_tag"}},
		{project: project, name: "visibility changed", change: patch("replace", "visibility", "private"),
			api: []string{"image.visibility", "image_seen_by_member"}, noapi: []string{"rows_image"}},
		{project: project, name: "protected", change: patch("replace", "protected", true), api: []string{"image.protected"}, noapi: []string{"rows_image"}},
		{project: project, name: "minimum memory changed", change: patch("replace", "min_ram", 128), api: []string{"image.min_ram"}},
		{project: project, name: "member removed", change: func(b breaker) {
			b.call("image", "DELETE", "v2/images/"+b.saved["image_id"]+"/members/"+b.saved["member.project_id"], nil, http.StatusNoContent)
		}, api: []string{"image_seen_by_member", "download_by_member", "shared_images_of_member"}, noapi: []string{"rows_member"}},
		{project: project, name: "membership rejected", change: func(b breaker) {
			b.call("image", "PUT", "v2/images/"+b.saved["image_id"]+"/members/"+b.saved["member.project_id"], map[string]any{"status": "rejected"}, http.StatusOK)
		}, api: []string{"members[*].status", "shared_images_of_member"}, noapi: []string{"rows_member"}},
		{project: project, name: "member added", change: func(b breaker) {
			b.call("image", "POST", "v2/images/"+b.saved["image_id"]+"/members", map[string]any{"member": "0123456789abcdef"}, http.StatusOK)
		}, api: []string{"members[]"}, noapi: []string{"rows_member"}},
		{project: project, name: "deactivated", change: func(b breaker) {
			b.call("image", "POST", "v2/images/"+b.saved["image_id"]+"/actions/deactivate", nil, http.StatusNoContent)
		}, api: []string{"image.status", "download"}, noapi: []string{"rows_image"}},
		{project: project, name: "file truncated", change: func(b breaker) { b.inside.shell(b.t, "truncate -s 1000000 "+b.saved["file"]) },
			api: []string{"download*"}, noapi: []string{"stored_file.size", "stored_file.sha256"}},
		{project: project, name: "one byte of the file changed", change: func(b breaker) {
			// The byte at that place is random: write what it is not.
			b.inside.shell(b.t, `f=`+b.saved["file"]+`; c=$(dd if="$f" bs=1 skip=4711 count=1 status=none | xxd -p 2>/dev/null || dd if="$f" bs=1 skip=4711 count=1 status=none | od -An -tx1 | tr -d ' '); if [ "$c" = 41 ]; then n=B; else n=A; fi; printf "$n" | dd of="$f" bs=1 seek=4711 conv=notrunc status=none`)
		}, api: []string{"download.sha256", "download_by_member.sha256"}, noapi: []string{"stored_file.sha256"}},
		{project: project, name: "file gone", change: func(b breaker) { b.inside.shell(b.t, "rm "+b.saved["file"]) },
			api: []string{"download*"}, noapi: []string{"stored_file"}},
		{project: project, name: "checksum's row changed", change: func(b breaker) {
			b.sql("glance", "UPDATE images SET checksum=REVERSE(checksum) WHERE id='%s';", b.saved["image_id"])
		}, api: []string{"image.checksum"}, noapi: []string{"rows_image"}},
		{project: project, name: "image's rows deleted", change: func(b breaker) {
			b.sql("glance", "SET FOREIGN_KEY_CHECKS=0; DELETE FROM images WHERE id='%s';", b.saved["image_id"])
		}, undo: func(b breaker) { b.inside.shell(b.t, "rm -f "+b.saved["file"]) },
			api: []string{"image", "download"}, noapi: []string{"rows_image"}},
	}
}

func placementMutations() []mutation {
	const project = "placement"
	return []mutation{
		{project: project, name: "provider renamed", change: func(b breaker) {
			b.call("placement", "PUT", "resource_providers/"+b.saved["root_provider"], map[string]any{"name": b.saved["name"] + "-x"}, http.StatusOK)
		}, api: []string{"root_provider.name"}, noapi: []string{"rows_provider"}},
		{project: project, name: "inventory's total changed", change: func(b breaker) {
			b.provider("root_provider", "inventories/VCPU", func(d map[string]any) { d["total"] = 17 })
		}, api: []string{"root_inventories.inventories[VCPU].total", "root_provider.generation"}, noapi: []string{"rows_inventory"}},
		{project: project, name: "inventory's ratio changed", change: func(b breaker) {
			b.provider("root_provider", "inventories/MEMORY_MB", func(d map[string]any) { d["allocation_ratio"] = 1.0 })
		}, api: []string{"root_inventories.inventories[MEMORY_MB].allocation_ratio"}, noapi: []string{"rows_inventory"}},
		{project: project, name: "inventory added", change: func(b breaker) {
			b.provider("root_provider", "inventories", func(d map[string]any) {
				inventories, _ := d["inventories"].(map[string]any)
				inventories["DISK_GB"] = map[string]any{"total": 1}
			})
		}, api: []string{"root_inventories.inventories[]"}, noapi: []string{"rows_inventory"}},
		{project: project, name: "trait removed", change: func(b breaker) {
			b.provider("root_provider", "traits", func(d map[string]any) { d["traits"] = []string{b.saved["trait"]} })
		}, api: []string{"root_traits.traits"}, noapi: []string{"rows_trait"}},
		{project: project, name: "trait added", change: func(b breaker) {
			b.provider("child_provider", "traits", func(d map[string]any) { d["traits"] = []string{b.saved["trait"], "HW_CPU_X86_SSE"} })
		}, api: []string{"child_traits.traits"}, noapi: []string{"rows_trait"}},
		{project: project, name: "aggregate left", change: func(b breaker) {
			b.provider("root_provider", "aggregates", func(d map[string]any) { d["aggregates"] = []string{} })
		}, api: []string{"root_aggregates.aggregates"}, noapi: []string{"rows_aggregate"}},
		{project: project, name: "allocation gone", change: func(b breaker) {
			b.call("placement", "DELETE", "allocations/"+b.saved["consumer"], nil, http.StatusNoContent)
		}, api: []string{"allocations_of_consumer.allocations*", "root_usages.usages.VCPU", "usages_read_by_own_user.*"}, noapi: []string{"rows_allocation", "rows_consumer"}},
		{project: project, name: "allocated amount's row changed", change: func(b breaker) {
			b.sql("placement", "UPDATE allocations SET used = used + 1 WHERE consumer_id='%s';", b.saved["consumer"])
		}, api: []string{"allocations_of_consumer.allocations[*].resources.VCPU", "root_usages.usages.VCPU"}, noapi: []string{"rows_allocation"}},
		{project: project, name: "allocation's row deleted", change: func(b breaker) {
			b.sql("placement", "DELETE FROM allocations WHERE consumer_id='%s' AND used = 3;", b.saved["consumer"])
		}, api: []string{"allocations_of_consumer.allocations[*].resources.CUSTOM_*"}, noapi: []string{"rows_allocation"}},
		{project: project, name: "generation's row changed", change: func(b breaker) {
			b.sql("placement", "UPDATE resource_providers SET generation = generation + 1 WHERE uuid='%s';", b.saved["child_provider"])
		}, api: []string{"child_provider.generation"}, noapi: []string{"rows_provider"}},
		{project: project, name: "consumer's generation changed", change: func(b breaker) {
			b.sql("placement", "UPDATE consumers SET generation = generation + 1 WHERE uuid='%s';", b.saved["consumer"])
		}, api: []string{"allocations_of_consumer.consumer_generation"}, noapi: []string{"rows_consumer"}},
		{project: project, name: "child orphaned", change: func(b breaker) {
			b.sql("placement", "UPDATE resource_providers SET parent_provider_id = NULL, root_provider_id = id WHERE uuid='%s';", b.saved["child_provider"])
		}, api: []string{"child_provider.parent_provider_uuid", "child_provider.root_provider_uuid"}, noapi: []string{"rows_provider"}},
		{project: project, name: "somebody else wrote to the writer", change: func(b breaker) {
			b.provider("writer_provider", "inventories/DISK_GB", func(d map[string]any) { d["total"] = 500 })
		}, api: []string{"writer_provider.generation", "writer_provider.inventories"}},
		{project: project, name: "writer gone", change: func(b breaker) {
			b.call("placement", "DELETE", "resource_providers/"+b.saved["writer_provider"], nil, http.StatusNoContent)
		}, api: []string{"writer_provider"}},
		{project: project, name: "resource class's row renamed", change: func(b breaker) {
			b.sql("placement", "UPDATE resource_classes SET name = CONCAT(name, '_X') WHERE name='%s';", b.saved["resource_class"])
		}, undo: func(b breaker) {
			b.sql("placement", "UPDATE resource_classes SET name = '%[1]s' WHERE name='%[1]s_X';", b.saved["resource_class"])
		}, noapi: []string{"rows_inventory", "rows_custom"}},
	}
}
