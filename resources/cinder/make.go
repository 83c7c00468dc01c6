package cinder

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/transfers"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumetypes"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"grenade/resources/guest"
)

// asked is what create wants to find in what it made.
type asked struct {
	typeName string
	content  map[string]sums // by volume
	image    string          // hash of the image's bytes
}

// metadata of volumes and of the snapshot: an ordinary one, one that is not
// ASCII, one that is empty.
func metadata() map[string]string {
	return map[string]string{"origin": "made before the upgrade", "note": "créé avant · 升级前 · 100 %", "empty": ""}
}

// extraSpecs of the type. A key with a colon asks no backend for anything
// (cinder, scheduler hints of volume types: scoped keys).
func extraSpecs() map[string]string {
	return map[string]string{"grenade:note": "made before the upgrade", "grenade:tier": "7"}
}

// Values of the quota that are nobody's default.
const (
	quotaVolumes    = 13
	quotaGigabytes  = 57
	quotaOfType     = 11
	quotaSnapshots  = 9
	quotaPerVolume  = 8
	volumeSize      = 1 // GiB
	extendedSize    = 2 // GiB
	descriptionText = "a volume that lives through an upgrade"
)

// make creates everything. Names are known beforehand, ids are saved right after
// each thing is made.
func (c *check) make(ctx context.Context) (*asked, error) {
	if err := c.makeAsAdmin(ctx); err != nil {
		return nil, err
	}
	s, err := c.login(ctx)
	if err != nil {
		return nil, err
	}
	want := &asked{typeName: c.name("type"), content: map[string]sums{}}
	image, err := s.makeImage(ctx)
	if err != nil {
		return nil, err
	}
	want.image = hash(image)
	imageID, err := c.memory.Get(keyImage)
	if err != nil {
		return nil, err
	}
	for _, v := range []volumes.CreateOpts{
		s.volume(dataVolume, ""), s.volume(layeredVolume, imageID), s.volume(offeredVolume, ""),
	} {
		if err := s.createVolume(ctx, v); err != nil {
			return nil, err
		}
	}
	if err := s.snapshot(ctx); err != nil {
		return nil, err
	}
	// What cinder does meanwhile is waited for below.
	if err := c.guest().Make(ctx, guest.Options{}); err != nil {
		return nil, err
	}
	if err := c.guest().Witness(ctx); err != nil {
		return nil, err
	}
	if err := s.awaitSnapshot(ctx); err != nil {
		return nil, err
	}
	if err := s.offer(ctx); err != nil {
		return nil, err
	}
	responder, err := c.guest().Responder()
	if err != nil {
		return nil, err
	}
	for _, what := range []string{dataVolume, layeredVolume} {
		if err := s.attach(ctx, what); err != nil {
			return nil, err
		}
		id, err := c.memory.Get(keyVolume(what))
		if err != nil {
			return nil, err
		}
		if want.content[what], err = write(ctx, responder, id, regions(what)); err != nil {
			return nil, err
		}
	}
	return want, nil
}

// makeAsAdmin makes what only an administrator may: account, type, quota.
func (c *check) makeAsAdmin(ctx context.Context) error {
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return err
	}
	identity, err1 := c.cloud.Identity(provider)
	admin, err2 := c.storage(provider)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if err := c.owner().Make(ctx, identity); err != nil {
		return err
	}
	project, err := c.owner().ProjectID()
	if err != nil {
		return err
	}
	name, private := c.name("type"), false
	made, err := volumetypes.Create(ctx, admin, volumetypes.CreateOpts{
		Name: name, Description: "for one project", IsPublic: &private, ExtraSpecs: extraSpecs(),
	}).Extract()
	if err != nil {
		return fmt.Errorf("create volume type %s: %w", name, err)
	}
	if err := c.memory.Save(ctx, map[string]string{keyType: made.ID}); err != nil {
		return err
	}
	if err := volumetypes.AddAccess(ctx, admin, made.ID, volumetypes.AddAccessOpts{Project: project}).ExtractErr(); err != nil {
		return fmt.Errorf("give project %s access to volume type %s: %w", project, name, err)
	}
	// The key with the type's name needs the type.
	err = quotasets.Update(ctx, admin, project, quotasets.UpdateOpts{Extra: map[string]any{
		"volumes": quotaVolumes, "gigabytes": quotaGigabytes, "snapshots": quotaSnapshots,
		"per_volume_gigabytes": quotaPerVolume, "volumes_" + name: quotaOfType,
	}}).Err
	if err != nil {
		return fmt.Errorf("set volume quota of project %s: %w", project, err)
	}
	return nil
}

// makeImage uploads the image of the layered volume: a line of text in the first
// sector, so that nobody takes it for a disk with partitions, and random bytes.
func (s *session) makeImage(ctx context.Context) ([]byte, error) {
	content, err := random(imageSize)
	if err != nil {
		return nil, err
	}
	copy(content, bytes.Repeat([]byte{'\n'}, guest.BlockSize))
	copy(content, "grenade: content of a volume before the upgrade")
	name := s.check.name("image")
	image, err := images.Create(ctx, s.image, images.CreateOpts{
		Name: name, ContainerFormat: "bare", DiskFormat: "raw", MinDisk: volumeSize,
		Properties: map[string]string{"grenade_origin": "made before the upgrade"},
	}).Extract()
	if err != nil {
		return nil, fmt.Errorf("create image %s: %w", name, err)
	}
	if err := s.check.memory.Save(ctx, map[string]string{keyImage: image.ID, keyImageSum: hash(content)}); err != nil {
		return nil, err
	}
	// It is active when the upload is over: glance's own check looks at that.
	if err := imagedata.Upload(ctx, s.image, image.ID, bytes.NewReader(content)).ExtractErr(); err != nil {
		return nil, fmt.Errorf("upload %d bytes to image %s: %w", len(content), name, err)
	}
	return content, nil
}

// volume says how a volume is made. Without an image it is empty.
func (s *session) volume(what, image string) volumes.CreateOpts {
	return volumes.CreateOpts{
		Name: s.check.name(what), Description: descriptionText, Size: volumeSize, VolumeType: s.check.name("type"),
		Metadata: metadata(), ImageID: image,
	}
}

// createVolume asks for a volume and saves its id, without waiting for it.
func (s *session) createVolume(ctx context.Context, v volumes.CreateOpts) error {
	made, err := volumes.Create(ctx, s.storage, v, nil).Extract()
	if err != nil {
		return fmt.Errorf("create volume %s: %w", v.Name, err)
	}
	what := v.Name[len(s.check.name("")):]
	return s.check.memory.Save(ctx, map[string]string{keyVolume(what): made.ID})
}

// snapshot asks for one of the layered volume, once that is there.
func (s *session) snapshot(ctx context.Context) error {
	volume, err := s.awaitVolume(ctx, layeredVolume, "available")
	if err != nil {
		return err
	}
	name := s.check.name("snapshot")
	made, err := snapshots.Create(ctx, s.storage, snapshots.CreateOpts{
		VolumeID: volume, Name: name, Description: descriptionText, Metadata: metadata(),
	}).Extract()
	if err != nil {
		return fmt.Errorf("create snapshot %s of volume %s: %w", name, volume, err)
	}
	return s.check.memory.Save(ctx, map[string]string{keySnapshot: made.ID})
}

// offer offers a volume to whoever has the key, which nobody keeps.
func (s *session) offer(ctx context.Context) error {
	volume, err := s.awaitVolume(ctx, offeredVolume, "available")
	if err != nil {
		return err
	}
	name := s.check.name("transfer")
	made, err := transfers.Create(ctx, s.storage, transfers.CreateOpts{VolumeID: volume, Name: name}).Extract()
	if err != nil {
		return fmt.Errorf("offer volume %s: %w", volume, err)
	}
	return s.check.memory.Save(ctx, map[string]string{keyTransfer: made.ID})
}

// login logs the check's own user in.
func (c *check) login(ctx context.Context) (*session, error) {
	provider, err := c.owner().Login(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{check: c}
	return s, s.clients(provider)
}

func (s *session) clients(provider *gophercloud.ProviderClient) error {
	var err1, err2, err3 error
	s.storage, err1 = s.check.storage(provider)
	s.compute, err2 = s.check.compute(provider)
	s.image, err3 = s.check.cloud.Service(provider, "image", "v2")
	return errors.Join(err1, err2, err3)
}
