//go:build cloud

package native_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"grenade/resources"
	"grenade/resources/guest"
	"grenade/resources/native"
)

// cinderMutations are undone one by one, so that all of them are tried on what
// one create has made: guests are slow to make.
func cinderMutations() []mutation {
	const project = "cinder"
	// row changes a row and back.
	row := func(name, change, back, id string, api, noapi []string) mutation {
		return mutation{
			project: project, name: name, api: api, noapi: noapi,
			change: func(b breaker) { b.sql("cinder", change+";", b.saved[id]) },
			undo:   func(b breaker) { b.sql("cinder", back+";", b.saved[id]) },
		}
	}
	// bytes writes over 4 KiB of a file and back, as somebody with a shell would.
	bytes := func(name, file, sector string, api, noapi, after []string) mutation {
		return mutation{
			project: project, name: name, api: api, noapi: noapi, after: after,
			change: func(b breaker) {
				path := b.saved[file]
				if file == "base" {
					path = cinderBase(b)
				}
				b.inside.shell(b.t, `dd if='`+path+`' of=/root/kept bs=512 skip=`+sector+` count=8 status=none
					dd if=/dev/urandom of='`+path+`' bs=512 seek=`+sector+` count=8 conv=notrunc,fsync status=none`)
			},
			undo: func(b breaker) {
				path := b.saved[file]
				if file == "base" {
					path = cinderBase(b)
				}
				b.inside.shell(b.t, `dd if=/root/kept of='`+path+`' bs=512 seek=`+sector+` count=8 conv=notrunc,fsync status=none`)
			},
		}
	}
	data, layered := "volume.data", "volume.layered"
	return []mutation{
		bytes("volume's content changed on the node", "file.data", "2048",
			[]string{"content_data.middle"}, []string{"noapi_content_data.middle", "file_data.regions.middle"}, nil),
		bytes("volume's last bytes changed on the node", "file.data", "2097144",
			[]string{"content_data.end"}, []string{"noapi_content_data.end", "file_data.regions.end"}, nil),
		bytes("snapshot's content changed on the node", "base", "64",
			nil, []string{"file_snapshot.regions.image"}, []string{"content of a volume made from the snapshot"}),
		{project: project, name: "volume's file replaced by a copy", change: func(b breaker) {
			b.inside.shell(b.t, `cp --preserve --sparse=always '`+b.saved["file.data"]+`' '`+b.saved["file.data"]+`.copy'
				mv '`+b.saved["file.data"]+`' /root/kept; mv '`+b.saved["file.data"]+`.copy' '`+b.saved["file.data"]+`'`)
		}, undo: func(b breaker) { b.inside.shell(b.t, `mv -f /root/kept '`+b.saved["file.data"]+`'`) },
			noapi: []string{"file_data.inode", "file_data.open"}},
		{project: project, name: "volume's file gone", change: func(b breaker) { b.inside.shell(b.t, `mv '`+b.saved["file.data"]+`' /root/kept`) },
			undo:  func(b breaker) { b.inside.shell(b.t, `mv /root/kept '`+b.saved["file.data"]+`'`) },
			noapi: []string{"file_data"}},
		row("volume's status changed", "UPDATE volumes SET status='error' WHERE id='%s'", "UPDATE volumes SET status='in-use' WHERE id='%s'", data,
			[]string{"volume_data.volume.status", "volume_data_seen_by_admin.volume.status"}, []string{"rows_volume"}),
		row("volume's size changed", "UPDATE volumes SET size=2 WHERE id='%s'", "UPDATE volumes SET size=1 WHERE id='%s'", data,
			[]string{"volume_data.volume.size"}, []string{"rows_volume"}),
		row("volume moved to another host", "UPDATE volumes SET host=CONCAT(host, 'x') WHERE id='%s'", "UPDATE volumes SET host=TRIM(TRAILING 'x' FROM host) WHERE id='%s'", data,
			[]string{"volume_data_seen_by_admin.volume.os-vol-host-attr:host"}, []string{"rows_volume"}),
		row("volume's row deleted", "UPDATE volumes SET deleted=1 WHERE id='%s'", "UPDATE volumes SET deleted=0 WHERE id='%s'", "volume.offered",
			[]string{"volume_offered", "volumes"}, []string{"rows_volume"}),
		row("volume no longer bootable", "UPDATE volumes SET bootable=0 WHERE id='%s'", "UPDATE volumes SET bootable=1 WHERE id='%s'", layered,
			[]string{"volume_layered.volume.bootable"}, []string{"rows_volume"}),
		row("metadata changed", "UPDATE volume_metadata SET value='x' WHERE `key`='origin' AND volume_id='%s'",
			"UPDATE volume_metadata SET value='made before the upgrade' WHERE `key`='origin' AND volume_id='%s'", data,
			[]string{"volume_data.volume.metadata.origin"}, []string{"rows_metadata"}),
		row("metadata dropped", "UPDATE volume_metadata SET deleted=1 WHERE `key`='note' AND volume_id='%s'",
			"UPDATE volume_metadata SET deleted=0 WHERE `key`='note' AND volume_id='%s'", data,
			[]string{"volume_data.volume.metadata.note"}, []string{"rows_metadata"}),
		row("metadata of the image dropped", "UPDATE volume_glance_metadata SET deleted=1 WHERE volume_id='%s'",
			"UPDATE volume_glance_metadata SET deleted=0 WHERE volume_id='%s'", layered,
			[]string{"volume_layered.volume.volume_image_metadata.*"}, []string{"rows_image_metadata"}),
		row("attachment's row deleted", "UPDATE volume_attachment SET deleted=1 WHERE id='%s'", "UPDATE volume_attachment SET deleted=0 WHERE id='%s'", "attachment.data",
			[]string{"attachment_data", "volume_data.volume.attachments*"}, []string{"rows_attachment"}),
		row("attachment's connection changed", "UPDATE volume_attachment SET connection_info=REPLACE(connection_info, 'raw', 'qcow2') WHERE id='%s'",
			"UPDATE volume_attachment SET connection_info=REPLACE(connection_info, 'qcow2', 'raw') WHERE id='%s'", "attachment.data",
			[]string{"attachment_data.attachment.connection_info.format"}, []string{"rows_attachment"}),
		{project: project, name: "nova forgot the attachment", change: func(b breaker) {
			b.sql("nova", "UPDATE block_device_mapping SET deleted=id WHERE volume_id='%s';", b.saved[data])
		}, undo: func(b breaker) {
			b.sql("nova", "UPDATE block_device_mapping SET deleted=0 WHERE volume_id='%s';", b.saved[data])
		}, api: []string{"volumes_of_server[]"}},
		row("snapshot's row deleted", "UPDATE snapshots SET deleted=1 WHERE id='%s'", "UPDATE snapshots SET deleted=0 WHERE id='%s'", "snapshot_id",
			[]string{"snapshot", "snapshots"}, []string{"rows_snapshot"}),
		row("snapshot's status changed", "UPDATE snapshots SET status='error' WHERE id='%s'", "UPDATE snapshots SET status='available' WHERE id='%s'", "snapshot_id",
			[]string{"snapshot.snapshot.status"}, []string{"rows_snapshot"}),
		row("snapshot's metadata dropped", "UPDATE snapshot_metadata SET deleted=1 WHERE snapshot_id='%s'", "UPDATE snapshot_metadata SET deleted=0 WHERE snapshot_id='%s'", "snapshot_id",
			[]string{"snapshot.snapshot.metadata.origin"}, []string{"rows_snapshot_metadata"}),
		row("type's extra spec dropped", "UPDATE volume_type_extra_specs SET deleted=1 WHERE `key`='grenade:tier' AND volume_type_id='%s'",
			"UPDATE volume_type_extra_specs SET deleted=0 WHERE `key`='grenade:tier' AND volume_type_id='%s'", "type_id",
			[]string{"type.volume_type.extra_specs.grenade:tier"}, []string{"rows_extra_spec"}),
		row("type described anew", "UPDATE volume_types SET description='x' WHERE id='%s'", "UPDATE volume_types SET description='for one project' WHERE id='%s'", "type_id",
			[]string{"type.volume_type.description"}, []string{"rows_type"}),
		row("type open to nobody", "UPDATE volume_type_projects SET deleted=id WHERE volume_type_id='%s'", "UPDATE volume_type_projects SET deleted=0 WHERE volume_type_id='%s'", "type_id",
			[]string{"type_access"}, []string{"rows_type_access"}),
		row("quota changed", "UPDATE quotas SET hard_limit=14 WHERE resource='volumes' AND project_id='%s'", "UPDATE quotas SET hard_limit=13 WHERE resource='volumes' AND project_id='%s'", "owner.project_id",
			[]string{"quota.volumes.limit"}, []string{"rows_quota"}),
		row("quota's use miscounted", "UPDATE quota_usages SET in_use=in_use+1 WHERE resource='gigabytes' AND project_id='%s'", "UPDATE quota_usages SET in_use=in_use-1 WHERE resource='gigabytes' AND project_id='%s'", "owner.project_id",
			[]string{"quota.gigabytes.in_use"}, []string{"rows_quota_usage"}),
		row("transfer's key changed", "UPDATE transfers SET crypt_hash=REVERSE(crypt_hash) WHERE id='%s'", "UPDATE transfers SET crypt_hash=REVERSE(crypt_hash) WHERE id='%s'", "transfer_id",
			nil, []string{"rows_transfer"}),
		row("transfer's row deleted", "UPDATE transfers SET deleted=1 WHERE id='%s'", "UPDATE transfers SET deleted=0 WHERE id='%s'", "transfer_id",
			[]string{"transfer"}, []string{"rows_transfer"}),
		{project: project, name: "service disabled", change: func(b breaker) {
			b.sql("cinder", "UPDATE services SET disabled=1 WHERE `binary`='cinder-volume';")
		}, undo: func(b breaker) {
			b.sql("cinder", "UPDATE services SET disabled=0 WHERE `binary`='cinder-volume';")
		}, api: []string{"services[*].status"}},
		// Last: it cannot be undone.
		{project: project, name: "guest rebooted", change: func(b breaker) {
			b.call("compute", "POST", "servers/"+b.saved["guest.server_id"]+"/action", map[string]any{"reboot": map[string]any{"type": "HARD"}}, http.StatusAccepted)
			awaitAnotherRun(b)
		}, api: []string{"boot_id"}, noapi: []string{"noapi_boot_id", "qemu.pid"}},
	}
}

// cinderBase is the file below the layered volume's, which holds what the
// snapshot is of.
func cinderBase(b breaker) string {
	return b.saved["file.data"][:len(b.saved["file.data"])-len(b.saved["volume.data"])] + b.saved["volume.layered"]
}

// awaitAnotherRun waits until the guest answers with another boot id than create
// has saved.
func awaitAnotherRun(b breaker) {
	b.t.Helper()
	responder := guest.Responder{Address: b.saved["guest.address"]}
	NewWithT(b.t).Eventually(func() (string, error) {
		state, err := responder.State(b.t.Context())
		return strconv.Quote(state.BootID), err
	}, 3*time.Minute, time.Second).ShouldNot(Equal(b.saved["saved.boot_id"]))
}

// TestRealEveryCinderMutationIsSeen is TestRealEveryMutationIsSeen with one
// create for all: after each mutation was undone, nothing differs any more.
func TestRealEveryCinderMutationIsSeen(t *testing.T) {
	cloud, inside := openCloud(t)
	g, ctx := NewWithT(t), t.Context()
	check := makeForMutations(t, cloud, "cinder")
	saved, err := cloud.Memory("cinder").All()
	g.Expect(err).NotTo(HaveOccurred())
	for _, m := range cinderMutations() {
		t.Run(m.name, func(t *testing.T) {
			b := breaker{t: t, cloud: cloud, inside: inside, saved: saved}
			m.change(b)
			for _, stage := range []resources.Stage{resources.PreUpgrade, resources.PostUpgrade} {
				if len(m.api) > 0 {
					expectDifference(t, check.Verify(ctx, stage), m.api)
				}
			}
			if len(m.noapi) > 0 {
				expectDifference(t, check.VerifyNoAPI(ctx, resources.PreUpgrade), m.noapi)
			}
			if len(m.after) > 0 {
				expectDifference(t, check.Verify(ctx, resources.PostUpgrade), m.after)
			}
			if m.undo != nil {
				m.undo(b)
				if len(m.after) > 0 {
					// It stopped halfway; the next one brings everything back.
					NewWithT(t).Expect(check.Verify(ctx, resources.PostUpgrade)).To(Succeed())
				}
				NewWithT(t).Expect(check.VerifyNoAPI(ctx, resources.PreUpgrade)).To(Succeed())
				NewWithT(t).Expect(check.Verify(ctx, resources.PreUpgrade)).To(Succeed())
			}
		})
	}
}

// makeForMutations runs create, after the early_create of neutron that it needs,
// and destroy when the test is over.
func makeForMutations(t *testing.T, cloud resources.Cloud, project string) resources.Check {
	t.Helper()
	g, ctx := NewWithT(t), t.Context()
	checks := native.Checks(cloud)
	for _, name := range []string{"neutron", project} {
		t.Cleanup(func() {
			if err := checks[name].Destroy(context.WithoutCancel(ctx)); err != nil {
				t.Errorf("destroy of %s after the mutations: %v", name, err)
			}
		})
	}
	step(t, "early_create of neutron", func() error { return checks["neutron"].EarlyCreate(ctx) })
	step(t, "create", func() error { return checks[project].Create(ctx) })
	g.Expect(checks[project]).NotTo(BeNil())
	return checks[project]
}
