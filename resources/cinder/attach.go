package cinder

import (
	"context"
	"fmt"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"

	"grenade/resources"
)

// attach attaches a volume to the guest, waits until cinder and the guest have
// it, and saves the attachment's id.
func (s *session) attach(ctx context.Context, what string) error {
	server, err := s.check.guest().ServerID()
	if err != nil {
		return err
	}
	id, err := s.check.memory.Get(keyVolume(what))
	if err != nil {
		return err
	}
	if err := volumeattach.Create(ctx, s.compute, server, volumeattach.CreateOpts{VolumeID: id}).Err; err != nil {
		return fmt.Errorf("attach volume %s to server %s: %w", id, server, err)
	}
	if err := s.attached(ctx, what); err != nil {
		return fmt.Errorf("attach to server %s: %w", server, err)
	}
	return nil
}

// attached waits for a volume that is being attached.
func (s *session) attached(ctx context.Context, what string) error {
	id, err := s.awaitVolume(ctx, what, "in-use")
	if err != nil {
		return err
	}
	volume, err := volumes.Get(ctx, s.storage, id).Extract()
	if err != nil {
		return fmt.Errorf("look at attached volume %s: %w", id, err)
	}
	if len(volume.Attachments) != 1 {
		return fmt.Errorf("volume %s was attached once and has %d attachments", id, len(volume.Attachments))
	}
	if err := s.check.memory.Save(ctx, map[string]string{keyAttachment(what): volume.Attachments[0].AttachmentID}); err != nil {
		return err
	}
	return s.awaitDisk(ctx, id, true)
}

// detach takes a volume from the guest and waits until cinder and the guest
// have let go of it.
func (s *session) detach(ctx context.Context, what string) error {
	server, err := s.check.guest().ServerID()
	if err != nil {
		return err
	}
	id, err := s.check.memory.Get(keyVolume(what))
	if err != nil {
		return err
	}
	if err := volumeattach.Delete(ctx, s.compute, server, id).ExtractErr(); err != nil && !resources.IsGone(err) {
		return fmt.Errorf("detach volume %s from server %s: %w", id, server, err)
	}
	if _, err := s.awaitVolume(ctx, what, "available"); err != nil {
		return fmt.Errorf("detach from server %s: %w", server, err)
	}
	return s.awaitDisk(ctx, id, false)
}

// awaitDisk waits until the guest has a volume as a disk, or has it no more.
func (s *session) awaitDisk(ctx context.Context, id string, present bool) error {
	responder, err := s.check.guest().Responder()
	if err != nil {
		return err
	}
	wanted := map[bool]string{true: "to appear", false: "to disappear"}[present]
	return resources.WaitFor(ctx, resources.Wait{Object: "disk of volume " + id + " in guest " + responder.Address + " " + wanted, Limit: diskWithin, Every: 500 * time.Millisecond},
		func(ctx context.Context) (resources.Progress, error) {
			state, err := responder.State(ctx)
			if err != nil {
				return resources.Progress{Status: err.Error()}, nil //nolint:nilerr // a guest may be slow to answer: the wait's limit counts
			}
			_, there := state.Disk(id)
			return resources.Progress{Status: fmt.Sprintf("disks %v", state.Disks), Done: there == present}, nil
		})
}
