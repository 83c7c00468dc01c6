package cinder

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/attachments"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/transfers"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumetypes"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"grenade/resources"
)

// settledWithin bounds how long a volume may take to be detached from a server
// that is gone.
const settledWithin = time.Minute

// Destroy removes the guest, then what it used, then the account, and looks that
// no file of a volume is left. Things are found by their saved ids and by name,
// so that a create that was killed leaves nothing. It acts as administrator: the
// account may be broken. Cinder keeps the rows of what is deleted, marked so;
// only its operator's "cinder-manage db purge" removes those.
func (c *check) Destroy(ctx context.Context) error {
	saved, err := c.memory.All()
	if err != nil {
		return err
	}
	if len(saved) == 0 {
		return nil
	}
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return err
	}
	identity, err1 := c.cloud.Identity(provider)
	storage, err2 := c.storage(provider)
	image, err3 := c.cloud.Service(provider, "image", "v2")
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	d := &destroyer{check: c, storage: storage, image: image, saved: saved}
	// A volume is not deleted from under a guest that could not be removed.
	if err := c.guest().Remove(ctx); err != nil {
		return err
	}
	return errors.Join(
		d.removeTransfers(ctx),
		d.removeVolumes(ctx),
		d.removeImages(ctx),
		d.removeTypes(ctx),
		d.removeQuota(ctx),
		d.lookForFiles(ctx),
		c.owner().Remove(ctx, identity),
	)
}

type destroyer struct {
	check *check
	// storage and image are the administrator's.
	storage, image *gophercloud.ServiceClient
	saved          map[string]string
}

// named returns the ids of those in a list whose name this check gives, or that
// are the saved ones: they may have been renamed.
func (d *destroyer) named(list []map[string]any, saved ...string) []string {
	found := []string{}
	for _, one := range list {
		id, name := fmt.Sprint(one["id"]), fmt.Sprint(one["name"])
		isSaved := false
		for _, key := range saved {
			isSaved = isSaved || d.saved[key] == id
		}
		if isSaved || strings.HasPrefix(name, d.check.name("")) {
			found = append(found, id)
		}
	}
	return found
}

func (d *destroyer) removeTransfers(ctx context.Context) error {
	list, err := resources.Collection(ctx, transfers.List(d.storage, transfers.ListOpts{AllTenants: true}), "transfers")
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range d.named(list, keyTransfer) {
		errs = append(errs, resources.Delete(ctx, "volume transfer "+id,
			func(ctx context.Context) error { return transfers.Delete(ctx, d.storage, id).ExtractErr() },
			func(ctx context.Context) error { return transfers.Get(ctx, d.storage, id).Err }))
	}
	return errors.Join(errs...)
}

// removeVolumes removes snapshots, then volumes. What is made from a snapshot is
// independent of it: cinder's file and LVM drivers copy.
func (d *destroyer) removeVolumes(ctx context.Context) error {
	list, err := resources.Collection(ctx, volumes.List(d.storage, volumes.ListOpts{AllTenants: true}), "volumes")
	if err != nil {
		return err
	}
	ids := d.named(list, d.volumeKeys()...)
	var errs []error
	for _, id := range ids {
		errs = append(errs, d.settle(ctx, id))
	}
	list, err = resources.Collection(ctx, snapshots.List(d.storage, snapshots.ListOpts{AllTenants: true}), "snapshots")
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, id := range d.named(list, keySnapshot) {
		errs = append(errs, resources.Delete(ctx, "snapshot "+id,
			func(ctx context.Context) error { return snapshots.Delete(ctx, d.storage, id).ExtractErr() },
			func(ctx context.Context) error {
				snapshot, err := snapshots.Get(ctx, d.storage, id).Extract()
				if err != nil {
					return err //nolint:wrapcheck // Delete names the snapshot
				}
				return d.gaveUp(ctx, "VOLUME_SNAPSHOT", id, snapshot.Status)
			}))
	}
	for _, id := range ids {
		errs = append(errs, resources.Delete(ctx, "volume "+id,
			func(ctx context.Context) error { return volumes.Delete(ctx, d.storage, id, nil).ExtractErr() },
			func(ctx context.Context) error {
				volume, err := volumes.Get(ctx, d.storage, id).Extract()
				if err != nil {
					return err //nolint:wrapcheck // Delete names the volume
				}
				return d.gaveUp(ctx, "VOLUME", id, volume.Status)
			}))
	}
	return errors.Join(errs...)
}

// gaveUp is an error when a deletion has ended in failure.
func (d *destroyer) gaveUp(ctx context.Context, kind, id, status string) error {
	if status != "error_deleting" {
		return nil
	}
	messages, err := userMessages(ctx, d.storage, kind, id)
	if err != nil {
		messages = []string{err.Error()}
	}
	return fmt.Errorf("cinder gave up with status %s: %s", status, strings.Join(messages, "; "))
}

// volumeKeys are the keys of the saved volumes' ids.
func (d *destroyer) volumeKeys() []string {
	keys := []string{}
	for _, what := range []string{dataVolume, layeredVolume, offeredVolume, restoredVolume, newVolume} {
		keys = append(keys, keyVolume(what))
	}
	return keys
}

// settle waits until a volume is in a status from which it can be deleted. One
// that still claims to be attached to a server that is gone is freed by force.
func (d *destroyer) settle(ctx context.Context, id string) error {
	err := resources.WaitFor(ctx, resources.Wait{Object: "volume " + id + " to be free", Limit: settledWithin},
		func(ctx context.Context) (resources.Progress, error) {
			volume, err := volumes.Get(ctx, d.storage, id).Extract()
			if resources.IsGone(err) {
				return resources.Progress{Done: true}, nil
			}
			if err != nil {
				return resources.Progress{}, err //nolint:wrapcheck // WaitFor names the volume
			}
			free := volume.Status == "available" || strings.HasPrefix(volume.Status, "error")
			return resources.Progress{Status: volume.Status, Done: free && len(volume.Attachments) == 0}, nil
		})
	if err == nil || ctx.Err() != nil {
		return err
	}
	d.check.memory.Log.Warnf("%v: its server is gone, so it is freed by force", err)
	list, err := resources.Collection(ctx, attachments.List(d.storage, attachments.ListOpts{AllTenants: true, VolumeID: id}), "attachments")
	if err != nil {
		return err
	}
	for _, one := range list {
		attachment := fmt.Sprint(one["id"])
		if err := attachments.Delete(ctx, d.storage, attachment).ExtractErr(); err != nil && !resources.IsGone(err) {
			return fmt.Errorf("delete attachment %s of volume %s: %w", attachment, id, err)
		}
	}
	if err := volumes.ResetStatus(ctx, d.storage, id, volumes.ResetStatusOpts{Status: "available", AttachStatus: "detached"}).ExtractErr(); err != nil {
		return fmt.Errorf("reset status of volume %s: %w", id, err)
	}
	return nil
}

func (d *destroyer) removeImages(ctx context.Context) error {
	list, err := resources.Collection(ctx, images.List(d.image, images.ListOpts{Name: d.check.name("image")}), "images")
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range resources.Union(d.saved[keyImage], len(list), func(i int) string { return fmt.Sprint(list[i]["id"]) }) {
		errs = append(errs, resources.Delete(ctx, "image "+id,
			func(ctx context.Context) error { return images.Delete(ctx, d.image, id).ExtractErr() },
			func(ctx context.Context) error { return images.Get(ctx, d.image, id).Err }))
	}
	return errors.Join(errs...)
}

func (d *destroyer) removeTypes(ctx context.Context) error {
	list, err := resources.Collection(ctx, volumetypes.List(d.storage, volumetypes.ListOpts{IsPublic: volumetypes.VisibilityDefault}), "volume_types")
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range d.named(list, keyType) {
		errs = append(errs, resources.Delete(ctx, "volume type "+id,
			func(ctx context.Context) error { return volumetypes.Delete(ctx, d.storage, id).ExtractErr() },
			func(ctx context.Context) error { return volumetypes.Get(ctx, d.storage, id).Err }))
	}
	return errors.Join(errs...)
}

// removeQuota takes the project's own limits away: cinder does not notice that
// the project goes.
func (d *destroyer) removeQuota(ctx context.Context) error {
	project := d.saved[d.check.owner().Name+".project_id"]
	if project == "" {
		return nil
	}
	if err := quotasets.Delete(ctx, d.storage, project).ExtractErr(); err != nil && !resources.IsGone(err) {
		return fmt.Errorf("delete volume quota of project %s: %w", project, err)
	}
	return nil
}

// lookForFiles looks that no file of the volumes is left in their directory.
func (d *destroyer) lookForFiles(ctx context.Context) error {
	file := d.saved[keyFile(dataVolume)]
	inside, err := d.check.inside()
	if resources.IsNotChecked(err) || file == "" {
		return nil
	}
	if err != nil {
		return err
	}
	args := []string{path.Dir(file)}
	for _, key := range d.volumeKeys() {
		if id := d.saved[key]; id != "" {
			args = append(args, id)
		}
	}
	left, err := inside.Lines(ctx, bashOptions+`
for id in "${@:2}"; do find "$1" -name "*$id*"; done`, args...)
	if err != nil {
		return fmt.Errorf("look for files of deleted volumes in %s: %w", args[0], err)
	}
	if len(left) > 0 {
		return fmt.Errorf("files of deleted volumes are left: %s", strings.Join(left, ", "))
	}
	return nil
}
