//go:build cloud

package native_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/resources"
	"grenade/resources/guest"
	"grenade/resources/native"
	"grenade/resources/nova"
)

// compute asks nova as administrator, in the check's microversion.
func (b breaker) compute(method, path string, body any, want int) any {
	b.t.Helper()
	return b.call("compute", method, path, body, want, "OpenStack-API-Version", "compute "+guest.Microversion)
}

func (b breaker) server() string { return b.saved["guest.server_id"] }

func (b breaker) action(name string) {
	b.t.Helper()
	b.compute("POST", "servers/"+b.server()+"/action", map[string]any{name: nil}, http.StatusAccepted)
}

// flip changes one byte of the file that is the guest's root disk, where our own
// bytes are, and changes it back when called again.
func (b breaker) flip() {
	b.t.Helper()
	g := NewWithT(b.t)
	place, err := strconv.ParseInt(b.saved["place"], 10, 64)
	g.Expect(err).NotTo(HaveOccurred())
	mine, err := b.guest().Read(b.t.Context(), "vda", place+guest.BlockSize, guest.BlockSize)
	g.Expect(err).NotTo(HaveOccurred())
	// The sector after our first one is found by its first half; the byte is in its second.
	b.inside.shell(b.t, fmt.Sprintf(`python3 - <<'PYTHON'
import mmap
with open("/var/lib/nova/instances/%s/disk", "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
    at = m.find(bytes.fromhex("%x"))
    assert at >= 0, "our bytes are not in the file"
    m[at + 300] ^= 1
    m.flush()
PYTHON`, b.server(), mine[:256]))
}

func (b breaker) guest() guest.Responder { return guest.Responder{Address: b.saved["guest.address"]} }

// serverMutations are done to one server, one after the other; those that cannot
// be undone come last.
func serverMutations() []mutation {
	const (
		spec   = "flavor_id = (SELECT id FROM flavors WHERE flavorid = '%s') AND `key` = 'grenade:origin'"
		member = "SELECT id, '%s' FROM instance_groups WHERE uuid = '%s'"
	)
	sql := func(database, format string, keys ...string) func(breaker) {
		return func(b breaker) {
			args := []any{}
			for _, key := range keys {
				args = append(args, b.saved[key])
			}
			b.sql(database, format, args...)
		}
	}
	quota := func(instances int) func(breaker) {
		return func(b breaker) {
			b.compute("PUT", "os-quota-sets/"+b.saved["owner.project_id"], map[string]any{"quota_set": map[string]any{"instances": instances}}, http.StatusOK)
		}
	}
	rename := func(name func(breaker) string) func(breaker) {
		return func(b breaker) {
			b.compute("PUT", "servers/"+b.server(), map[string]any{"server": map[string]any{"name": name(b)}}, http.StatusOK)
		}
	}
	access := func(what string) func(breaker) {
		return func(b breaker) {
			b.compute("POST", "flavors/"+b.saved["flavor_id"]+"/action", map[string]any{what: map[string]any{"tenant": b.saved["owner.project_id"]}}, http.StatusOK)
		}
	}
	service := func(status string) func(breaker) {
		return func(b breaker) {
			list, _ := b.compute("GET", "os-services?binary=nova-scheduler", nil, http.StatusOK).(map[string]any)
			services, _ := list["services"].([]any)
			scheduler, _ := services[0].(map[string]any)
			b.compute("PUT", fmt.Sprint("os-services/", scheduler["id"]), map[string]any{"status": status}, http.StatusOK)
		}
	}
	return []mutation{
		{name: "flavor's extra spec dropped", change: sql("nova_api", "DELETE FROM flavor_extra_specs WHERE "+spec, "flavor_id"),
			undo: sql("nova_api", "INSERT INTO flavor_extra_specs (flavor_id, `key`, value, created_at) SELECT id, 'grenade:origin', 'before the upgrade', now() FROM flavors WHERE flavorid = '%s'", "flavor_id"),
			api:  []string{"flavor.extra_specs.grenade:origin"}, noapi: []string{"rows_extra_spec"}},
		{name: "flavor's access taken away", change: access("removeTenantAccess"), undo: access("addTenantAccess"),
			api: []string{"flavor_access*"}, noapi: []string{"rows_flavor_access"}},
		{name: "metadata's row changed", change: sql("nova", "UPDATE instance_metadata SET value = 'x' WHERE instance_uuid = '%s' AND `key` = 'origin'", "guest.server_id"),
			undo: sql("nova", "UPDATE instance_metadata SET value = 'before the upgrade' WHERE instance_uuid = '%s' AND `key` = 'origin'", "guest.server_id"),
			api:  []string{"server.metadata.origin"}, noapi: []string{"rows_metadata"}},
		{name: "tag removed", change: func(b breaker) {
			b.compute("DELETE", "servers/"+b.server()+"/tags/upgrade", nil, http.StatusNoContent)
		}, undo: func(b breaker) {
			b.compute("PUT", "servers/"+b.server()+"/tags/upgrade", nil, http.StatusCreated)
		}, api: []string{"server.tags"}, noapi: []string{"rows_tag"}},
		{name: "key pair's fingerprint changed", change: sql("nova_api", "UPDATE key_pairs SET fingerprint = REVERSE(fingerprint) WHERE user_id = '%s'", "owner.user_id"),
			undo: sql("nova_api", "UPDATE key_pairs SET fingerprint = REVERSE(fingerprint) WHERE user_id = '%s'", "owner.user_id"),
			api:  []string{"keypair.fingerprint"}, noapi: []string{"rows_keypair"}},
		{name: "server group's member removed", change: sql("nova_api", "DELETE FROM instance_group_member WHERE instance_uuid = '%s'", "guest.server_id"),
			undo: sql("nova_api", "INSERT INTO instance_group_member (group_id, instance_uuid) "+member, "guest.server_id", "group_id"),
			api:  []string{"server_group.members"}, noapi: []string{"rows_group_member"}},
		{name: "allocation of memory gone", change: sql("placement", "UPDATE allocations SET consumer_id = REVERSE(consumer_id) WHERE consumer_id = '%s' AND used = 128", "guest.server_id"),
			undo: sql("placement", "UPDATE allocations SET consumer_id = REVERSE(consumer_id) WHERE consumer_id = REVERSE('%s')", "guest.server_id"),
			api:  []string{"allocations.allocations[*].resources.MEMORY_MB"}, noapi: []string{"rows_allocation"}},
		{name: "quota changed", change: quota(8), undo: quota(7), api: []string{"quota.instances", "limits.absolute.maxTotalInstances"}, noapi: []string{"rows_quota"}},
		{name: "server renamed", change: rename(func(breaker) string { return "x" }), undo: rename(func(b breaker) string { return b.saved["guest.name"] }),
			api: []string{"server.name"}, noapi: []string{"rows_instance"}},
		{name: "server locked", change: func(b breaker) { b.action("lock") }, undo: func(b breaker) { b.action("unlock") },
			api: []string{"server.locked"}, noapi: []string{"rows_instance"}},
		{name: "server's row says stopped", change: sql("nova", "UPDATE instances SET vm_state = 'stopped' WHERE uuid = '%s'", "guest.server_id"),
			undo: sql("nova", "UPDATE instances SET vm_state = 'active' WHERE uuid = '%s'", "guest.server_id"),
			api:  []string{"server.status"}, noapi: []string{"rows_instance"}},
		{name: "service disabled", change: service("disabled"), undo: service("enabled"), api: []string{"services[*].status"}},
		{name: "one byte of the root disk changed", change: breaker.flip, undo: breaker.flip,
			api: []string{"root_disk_content.sha256"}, noapi: []string{"root_disk_content.sha256"}},
		{name: "interface detached", change: func(b breaker) {
			b.compute("DELETE", "servers/"+b.server()+"/os-interface/"+b.saved["port_id"], nil, http.StatusAccepted)
			NewWithT(b.t).Eventually(func() any {
				return b.compute("GET", "servers/"+b.server()+"/os-interface", nil, http.StatusOK)
			}, time.Minute, time.Second).Should(HaveKeyWithValue("interfaceAttachments", HaveLen(1)))
		}, api: []string{"interfaces[]"}, noapi: []string{"rows_interface"}},
		{name: "guest rebooted", change: func(b breaker) {
			b.inside.shell(b.t, "virsh --connect qemu:///system reset "+b.server())
			NewWithT(b.t).Eventually(func(g Gomega) {
				state, err := b.guest().State(b.t.Context())
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(state.Uptime).To(BeNumerically("<", 30*time.Second))
			}, 2*time.Minute, time.Second).Should(Succeed())
		}, api: []string{"guest.boot_id"}, noapi: []string{"guest.boot_id"}},
		{name: "console log emptied", change: func(b breaker) {
			b.inside.shell(b.t, "truncate --size 0 /var/lib/nova/instances/"+b.server()+"/console.log")
		}, api: []string{"console"}},
		{name: "guest killed", change: func(b breaker) {
			b.inside.shell(b.t, "pid=$(pgrep --full '^[^ ]*qemu.* -uuid "+b.server()+"'); kill -KILL $pid; while kill -0 $pid 2>/dev/null; do sleep 0.1; done")
		}, api: []string{"guest", "qemu"}, noapi: []string{"guest", "qemu", "ping"}},
	}
}

// TestRealEveryMutationOfAServerIsSeen is TestRealEveryMutationIsSeen for nova's
// check, with one guest for all: to make one takes long. A verdict that names a
// thing must not have named it before the thing was changed.
func TestRealEveryMutationOfAServerIsSeen(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	cloud, inside := openCloud(t)
	check := native.Checks(cloud)[nova.Project]
	guestNetwork(t, nova.Project)(cloud)
	t.Cleanup(func() {
		if err := check.Destroy(context.WithoutCancel(ctx)); err != nil {
			t.Errorf("destroy after the mutations: %v", err)
		}
	})
	step(t, "create", func() error { return check.Create(ctx) })
	saved, err := cloud.Memory(nova.Project).All()
	g.Expect(err).NotTo(HaveOccurred())
	verifies := map[string]func() error{
		"verify pre-upgrade":  func() error { return check.Verify(ctx, resources.PreUpgrade) },
		"verify post-upgrade": func() error { return check.Verify(ctx, resources.PostUpgrade) },
		"verify_noapi":        func() error { return check.VerifyNoAPI(ctx, resources.PreUpgrade) },
	}
	undone := true // nothing is changed
	for _, m := range serverMutations() {
		ok := t.Run(m.name, func(t *testing.T) {
			g := NewWithT(t)
			b := breaker{t: t, cloud: cloud, inside: inside, saved: saved}
			before := map[string][]string{}
			for name, verify := range verifies {
				if undone && name == "verify post-upgrade" {
					continue // it would stop and start the guest
				}
				err := verify()
				if undone {
					g.Expect(err).NotTo(HaveOccurred(), "%s before the mutation", name)
				}
				before[name] = named(t, err)
			}
			m.change(b)
			for name, verify := range verifies {
				wanted := m.api
				if name == "verify_noapi" {
					wanted = m.noapi
				}
				if len(wanted) == 0 {
					continue
				}
				err := verify()
				expectDifference(t, err, wanted)
				for _, attribute := range wanted {
					g.Expect(before[name]).NotTo(ContainElement(MatchRegexp(glob(attribute))), "%s named it before", name)
				}
			}
			if undone = m.undo != nil; undone {
				m.undo(b)
			}
		})
		if !ok {
			return
		}
	}
}

func glob(attribute string) string {
	return "^" + strings.ReplaceAll(regexp.QuoteMeta(attribute), `\*`, ".*") + "$"
}

// named are the attributes that a verdict names.
func named(t *testing.T, err error) []string {
	t.Helper()
	var difference *resources.Difference
	if !errors.As(err, &difference) {
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		return nil
	}
	names := []string{}
	for _, change := range difference.Changes {
		names = append(names, change.Attribute)
	}
	return slices.Clip(names)
}
