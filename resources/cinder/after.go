package cinder

import (
	"context"
	"fmt"
	"strings"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"

	"grenade/resources"
)

// What follows is done after the upgrade, each time when nothing differed, with
// volumes from before it and with new ones. It leaves the cloud as it found it,
// but for the layered volume's place in the guest, which is recorded again.

// afterwards uses the new code.
func (s *session) afterwards(ctx context.Context) error {
	if err := s.removeMadeAfterwards(ctx); err != nil {
		return fmt.Errorf("after the upgrade: remove what an earlier verify left: %w", err)
	}
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"make and extend a volume, make one from the old snapshot", s.makeAfterwards},
		{"detach the old volume and attach it elsewhere", s.move},
		{"read what the old snapshot holds", s.readRestored},
		{"write to the new volume beyond its old end", s.writeExtended},
		{"remove the new volumes", s.removeMadeAfterwards},
		{"look at what was moved", s.recordMoved},
	} {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("after the upgrade: %s: %w", step.what, err)
		}
	}
	return nil
}

// makeAfterwards makes both volumes at once and extends one: while it is not
// attached, because cinder's NFS driver refuses anything else (cinder,
// NfsDriver.extend_volume, bug 1870367). On other backends writeExtended does it
// while it is.
func (s *session) makeAfterwards(ctx context.Context) error {
	restored := s.volume(restoredVolume, "")
	restored.SnapshotID = s.saved[keySnapshot]
	for _, v := range []volumes.CreateOpts{s.volume(newVolume, ""), restored} {
		if err := s.createVolume(ctx, v); err != nil {
			return err
		}
	}
	id, err := s.awaitVolume(ctx, newVolume, "available")
	if err != nil {
		return err
	}
	if err := s.extend(ctx, id, extendedSize, "available"); err != nil {
		return err
	}
	_, err = s.awaitVolume(ctx, restoredVolume, "available")
	return err
}

// extend makes the new volume bigger; it goes back to the status that it has.
func (s *session) extend(ctx context.Context, id string, size int, status string) error {
	if err := volumes.ExtendSize(ctx, s.storage, id, volumes.ExtendSizeOpts{NewSize: size}).ExtractErr(); err != nil {
		return fmt.Errorf("extend volume %s to %d GiB: %w", id, size, err)
	}
	// The API answers when the status is "extending".
	if _, err := s.awaitVolume(ctx, newVolume, status); err != nil {
		return fmt.Errorf("extend to %d GiB: %w", size, err)
	}
	volume, err := volumes.Get(ctx, s.storage, id).Extract()
	if err != nil {
		return fmt.Errorf("look at extended volume %s: %w", id, err)
	}
	if volume.Size != size {
		return fmt.Errorf("volume %s was extended to %d GiB and has %d", id, size, volume.Size)
	}
	return nil
}

// move detaches the layered volume and attaches it as another device: the new
// volume takes its old place. Its content must be the same.
func (s *session) move(ctx context.Context) error {
	if err := s.check.memory.Save(ctx, map[string]string{keyMoving: "yes"}); err != nil {
		return err
	}
	for _, step := range []struct {
		do   func(context.Context, string) error
		what string
	}{{s.detach, layeredVolume}, {s.attach, newVolume}, {s.attach, layeredVolume}} {
		if err := step.do(ctx, step.what); err != nil {
			return err
		}
	}
	return s.check.memory.Compare(ctx, resources.PostUpgrade, []resources.Object{s.content(layeredVolume, nil)})
}

// finishMove brings the layered volume back to the guest after a verify that was
// killed while it moved it, and records where it is.
func (s *session) finishMove(ctx context.Context) error {
	moving, err := s.check.memory.Find(keyMoving)
	if err != nil || moving == "" {
		return err
	}
	if err := s.removeMadeAfterwards(ctx); err != nil {
		return err
	}
	volume, err := volumes.Get(ctx, s.storage, s.saved[keyVolume(layeredVolume)]).Extract()
	if err != nil {
		return fmt.Errorf("look at volume %s, which was being moved: %w", s.saved[keyVolume(layeredVolume)], err)
	}
	if volume.Status == "detaching" {
		if _, err := s.awaitVolume(ctx, layeredVolume, "available"); err != nil {
			return err
		}
	}
	again := s.attached
	if volume.Status == "detaching" || volume.Status == "available" {
		again = s.attach
	}
	if err := again(ctx, layeredVolume); err != nil {
		return err
	}
	return s.recordMoved(ctx)
}

// recordMoved records the layered volume where it is now. Nothing else of it may
// have changed.
func (s *session) recordMoved(ctx context.Context) error {
	saved, err := s.check.memory.All()
	if err != nil {
		return err
	}
	s.saved = saved
	if err := s.check.memory.Compare(ctx, resources.PostUpgrade, []resources.Object{{
		Name: "volume_layered", Fetch: s.volumeShown(s.storage, layeredVolume),
		Tolerated: []resources.Tolerated{
			{Attribute: "volume.attachments*", Reason: "it was detached and attached again"},
			{Attribute: "volume.updated_at", Reason: "so its row was written"},
		},
	}}); err != nil {
		return err
	}
	if err := s.check.memory.Record(ctx, s.movedObjects(nil)); err != nil {
		return err
	}
	inside, err := s.check.inside()
	if err == nil {
		err = inside.recordMoved(ctx)
	}
	if err != nil && !resources.IsNotChecked(err) {
		return err
	}
	return s.check.memory.Save(ctx, map[string]string{keyMoving: ""})
}

// readRestored reads what was made from the snapshot, in the guest: the image's
// bytes, which the snapshot was of, and not those that were written later.
func (s *session) readRestored(ctx context.Context) error {
	if err := s.attach(ctx, restoredVolume); err != nil {
		return err
	}
	id, err := s.check.memory.Get(keyVolume(restoredVolume))
	if err != nil {
		return err
	}
	want, err := s.check.memory.Get(keyImageSum)
	if err != nil {
		return err
	}
	seen, err := read(ctx, s.responder, id, snapshotRegions())
	if err != nil {
		return err
	}
	if seen["image"] != want {
		return s.difference("content of a volume made from the snapshot", want, seen["image"])
	}
	return nil
}

func (s *session) difference(attribute, saved, seen string) error {
	return &resources.Difference{
		Subject: s.check.memory.Section + ", " + string(resources.PostUpgrade),
		Changes: []resources.Change{{Attribute: attribute, Saved: saved, Seen: seen}},
	}
}

// writeExtended looks at the size of the new volume in the guest, and writes to
// its end. Where the driver can, it is made bigger once more first, while the
// guest uses it.
func (s *session) writeExtended(ctx context.Context) error {
	id, err := s.check.memory.Get(keyVolume(newVolume))
	if err != nil {
		return err
	}
	size := int64(extendedSize)
	driver, err := s.check.memory.Find(keyDriver)
	if err != nil {
		return err
	}
	if driver != "" && driver != fileDriver {
		size++
		if err := s.extend(ctx, id, int(size), "in-use"); err != nil {
			return err
		}
	}
	state, err := s.responder.State(ctx)
	if err != nil {
		return err
	}
	disk, found := state.Disk(id)
	if !found || disk.Bytes != size*gib {
		return s.difference("size of the extended volume in the guest", fmt.Sprint(size*gib), fmt.Sprint(disk.Bytes))
	}
	const length = 64 << 10
	_, err = write(ctx, s.responder, id, []region{{"end", size*gib - length, length}})
	return err
}

// removeMadeAfterwards detaches and deletes the volumes that verify has made,
// also those of a verify that was killed.
func (s *session) removeMadeAfterwards(ctx context.Context) error {
	for _, what := range []string{newVolume, restoredVolume} {
		list, err := resources.Collection(ctx, volumes.List(s.storage, volumes.ListOpts{Name: s.check.name(what)}), "volumes")
		if err != nil {
			return err
		}
		for _, one := range list {
			id := fmt.Sprint(one["id"])
			// Its id may not have been saved.
			if err := s.check.memory.Save(ctx, map[string]string{keyVolume(what): id}); err != nil {
				return err
			}
			if status := fmt.Sprint(one["status"]); status != "available" && !strings.HasPrefix(status, "error") {
				if err := s.detach(ctx, what); err != nil {
					return err
				}
			}
			if err := resources.Delete(ctx, "volume "+id,
				func(ctx context.Context) error { return volumes.Delete(ctx, s.storage, id, nil).ExtractErr() },
				func(ctx context.Context) error { return volumes.Get(ctx, s.storage, id).Err },
			); err != nil {
				return err
			}
		}
	}
	return nil
}
