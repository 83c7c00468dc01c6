package cinder

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/attachments"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/services"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/transfers"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumetypes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"grenade/resources"
	"grenade/resources/guest"
)

// session is what one phase needs: everybody logged in afresh, and the ids.
type session struct {
	check *check
	// storage, compute and image are the check's own user's.
	storage, compute, image *gophercloud.ServiceClient
	// admin is cinder's API for the administrator.
	admin *gophercloud.ServiceClient
	// saved is the check's part of the store at the beginning of the phase.
	saved     map[string]string
	responder guest.Responder
}

func (c *check) open(ctx context.Context) (*session, error) {
	s, err := c.login(ctx)
	if err != nil {
		return nil, err
	}
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return nil, err
	}
	if s.admin, err = c.storage(provider); err != nil {
		return nil, err
	}
	if s.responder, err = c.guest().Responder(); err != nil {
		return nil, err
	}
	for _, key := range []string{
		keyType, keySnapshot, keyTransfer, keyVolume(dataVolume), keyVolume(layeredVolume), keyVolume(offeredVolume),
		keyAttachment(dataVolume), keyAttachment(layeredVolume),
	} {
		if _, err := c.memory.Get(key); err != nil {
			return nil, err
		}
	}
	s.saved, err = c.memory.All()
	return s, err
}

// versions is the address of cinder's version document. It is the one of all
// versions: that of v3 alone wants a token.
func (s *session) versions() string {
	endpoint, _, _ := strings.Cut(s.storage.Endpoint, "/v3/")
	return endpoint + "/"
}

// objects lists everything that is compared while the APIs are up: what the
// guest sees first, what cinder says of it then. want is nil but at create.
func (s *session) objects(want *asked) []resources.Object {
	return slices.Concat(s.guestObjects(want), s.ownObjects(want), s.movedObjects(want), s.adminObjects(want))
}

// guestObjects are what the guest sees.
func (s *session) guestObjects(want *asked) []resources.Object {
	return []resources.Object{
		{Name: "boot_id", Fetch: s.bootID},
		s.content(dataVolume, want),
		s.content(layeredVolume, want),
	}
}

func (s *session) bootID(ctx context.Context) (any, error) {
	state, err := s.responder.State(ctx)
	if err != nil {
		return nil, &resources.Gone{What: err.Error()}
	}
	return state.BootID, nil
}

func (s *session) content(what string, want *asked) resources.Object {
	object := resources.Object{Name: "content_" + what, Fetch: func(ctx context.Context) (any, error) {
		return read(ctx, s.responder, s.saved[keyVolume(what)], regions(what))
	}}
	if want != nil {
		object.Asked = map[string]any{}
		for region, sum := range want.content[what] {
			object.Asked[region] = sum
		}
	}
	return object
}

// ownObjects are what the check's own user sees and nothing changes.
func (s *session) ownObjects(want *asked) []resources.Object {
	var snapshot, transfer map[string]any
	if want != nil {
		snapshot = map[string]any{
			"snapshot.status": "available", "snapshot.size": volumeSize, "snapshot.volume_id": s.saved[keyVolume(layeredVolume)],
			"snapshot.name": s.check.name("snapshot"), "snapshot.description": descriptionText,
		}
		for key, value := range metadata() {
			snapshot["snapshot.metadata."+key] = value
		}
		transfer = map[string]any{
			"transfer.name": s.check.name("transfer"), "transfer.volume_id": s.saved[keyVolume(offeredVolume)], "transfer.accepted": false,
		}
	}
	return []resources.Object{
		{Name: "volume_data", Fetch: s.volumeShown(s.storage, dataVolume), Asked: s.askedVolume(want, dataVolume, "in-use")},
		{Name: "volume_offered", Fetch: s.volumeShown(s.storage, offeredVolume), Asked: s.askedVolume(want, offeredVolume, "awaiting-transfer")},
		{Name: "snapshot", Asked: snapshot, Fetch: func(ctx context.Context) (any, error) {
			return resources.Body(snapshots.Get(ctx, s.storage, s.saved[keySnapshot]).Result)
		}},
		{Name: "transfer", Asked: transfer, Fetch: func(ctx context.Context) (any, error) {
			return resources.Body(transfers.Get(ctx, s.storage, s.saved[keyTransfer]).Result)
		}},
		{Name: "attachment_data", Fetch: s.attachmentShown(dataVolume)},
		{Name: "volumes", Fetch: ids(volumes.List(s.storage, nil), "volumes")},
		{Name: "snapshots", Fetch: ids(snapshots.List(s.storage, nil), "snapshots")},
	}
}

// movedObjects are those of the layered volume that the move after the upgrade
// changes, and records again.
func (s *session) movedObjects(want *asked) []resources.Object {
	asked := s.askedVolume(want, layeredVolume, "in-use")
	if want != nil {
		asked["volume.bootable"] = "true"
		asked["volume.volume_image_metadata.image_id"] = s.saved[keyImage]
		asked["volume.volume_image_metadata.grenade_origin"] = "made before the upgrade"
	}
	return []resources.Object{
		{Name: "volume_layered", Fetch: s.volumeShown(s.storage, layeredVolume), Asked: asked},
		{Name: "attachment_layered", Fetch: s.attachmentShown(layeredVolume)},
		{Name: "volumes_of_server", Fetch: s.volumesOfServer},
	}
}

// adminObjects are what only the administrator sees.
func (s *session) adminObjects(want *asked) []resources.Object {
	var volumeType, quota map[string]any
	if want != nil {
		volumeType = map[string]any{
			"volume_type.name": want.typeName, "volume_type.description": "for one project", "volume_type.is_public": false,
		}
		for key, value := range extraSpecs() {
			volumeType["volume_type.extra_specs."+key] = value
		}
		quota = map[string]any{
			"volumes.limit": quotaVolumes, "volumes.in_use": 3, "snapshots.limit": quotaSnapshots, "snapshots.in_use": 1,
			"gigabytes.limit": quotaGigabytes, "gigabytes.in_use": 4 * volumeSize, "per_volume_gigabytes.limit": quotaPerVolume,
			"volumes_" + want.typeName + ".limit": quotaOfType, "volumes_" + want.typeName + ".in_use": 3,
		}
	}
	return []resources.Object{
		{Name: "volume_data_seen_by_admin", Fetch: s.volumeShown(s.admin, dataVolume), Asked: s.askedVolume(want, dataVolume, "in-use")},
		{Name: "type", Asked: volumeType, Fetch: func(ctx context.Context) (any, error) {
			return resources.Body(volumetypes.Get(ctx, s.admin, s.saved[keyType]).Result)
		}},
		{Name: "type_access", Fetch: s.typeAccess},
		{Name: "quota", Fetch: s.quota, Asked: quota},
		{Name: "services", Fetch: s.services},
	}
}

// askedVolume is what create wants to find in one of its volumes.
func (s *session) askedVolume(want *asked, what, status string) map[string]any {
	if want == nil {
		return nil
	}
	asked := map[string]any{
		"volume.name": s.check.name(what), "volume.description": descriptionText, "volume.size": volumeSize,
		"volume.volume_type": want.typeName, "volume.status": status, "volume.multiattach": false, "volume.encrypted": false,
	}
	for key, value := range metadata() {
		asked["volume.metadata."+key] = value
	}
	return asked
}

func (s *session) volumeShown(client *gophercloud.ServiceClient, what string) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		return resources.Body(volumes.Get(ctx, client, s.saved[keyVolume(what)]).Result)
	}
}

func (s *session) attachmentShown(what string) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		return resources.Body(attachments.Get(ctx, s.storage, s.saved[keyAttachment(what)]).Result)
	}
}

// volumesOfServer are keyed by volume: nova gives them no id of their own.
func (s *session) volumesOfServer(ctx context.Context) (any, error) {
	server, err := s.check.guest().ServerID()
	if err != nil {
		return nil, err
	}
	list, err := resources.Collection(ctx, volumeattach.List(s.compute, server), "volumeAttachments")
	if err != nil {
		return nil, err
	}
	for _, one := range list {
		one["id"] = one["volumeId"]
	}
	return list, nil
}

// ids are all that the check's own user finds.
func ids(pager pagination.Pager, name string) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		list, err := resources.Collection(ctx, pager, name)
		if err != nil {
			return nil, err
		}
		found := []any{}
		for _, one := range list {
			found = append(found, one["id"])
		}
		return found, nil
	}
}

// typeAccess is the list of projects that may use the private type.
func (s *session) typeAccess(ctx context.Context) (any, error) {
	list, err := resources.Collection(ctx, volumetypes.ListAccesses(s.admin, s.saved[keyType]), "volume_type_access")
	if err != nil {
		return nil, err
	}
	return list, nil
}

// quota is the project's, with what is in use. Keys of other types come and go
// with those types.
func (s *session) quota(ctx context.Context) (any, error) {
	project, err := s.check.owner().ProjectID()
	if err != nil {
		return nil, err
	}
	result := quotasets.GetUsage(ctx, s.admin, project)
	if result.Err != nil {
		return nil, result.Err
	}
	member, err := resources.Member(result.Result, "quota_set")
	if err != nil {
		return nil, err
	}
	quota, ok := member.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("quota_set of project %s is %T", project, member)
	}
	return ownQuota(quota, s.check.name("type")), nil
}

// ownQuota leaves out the keys of volume types other than the named one.
func ownQuota(quota map[string]any, typeName string) map[string]any {
	own := map[string]any{}
	for key, value := range quota {
		ofType := false
		for _, kind := range []string{"volumes_", "snapshots_", "gigabytes_"} {
			if name, is := strings.CutPrefix(key, kind); is && name != typeName {
				ofType = true
			}
		}
		if !ofType {
			own[key] = value
		}
	}
	return own
}

// services are keyed by program and host.
func (s *session) services(ctx context.Context) (any, error) {
	list, err := resources.Collection(ctx, services.List(s.admin, services.ListOpts{}), "services")
	if err != nil {
		return nil, err
	}
	for _, service := range list {
		service["id"] = fmt.Sprint(service["binary"], " on ", service["host"])
		// The time of the last report: it must change.
		delete(service, "updated_at")
	}
	return list, nil
}
