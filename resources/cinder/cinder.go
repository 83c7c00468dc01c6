// Package cinder checks that block storage survives an upgrade: volumes with
// content that a running guest reads back past its page cache, a snapshot whose
// content is older than its volume's, the type, the attachments, the quota, a
// volume on offer to another project, the files behind it all and the rows that
// describe it. Only the account, the type and the quota are made by the
// administrator.
//
// After the upgrade a volume is detached and attached again, one is made from
// the snapshot, and one is made, extended, written beyond its old end and
// deleted (see after.go).
package cinder

import (
	"context"
	"errors"

	"github.com/gophercloud/gophercloud/v2"

	"grenade/resources"
	"grenade/resources/guest"
)

// Project is the name under which this check is listed.
const Project = "cinder"

// microversion is what the check speaks to cinder in every phase, so that an
// answer has the same form on both sides: 3.70 came with Zed.
const microversion = "3.70"

// The volumes, by what they are called in names, keys and reports.
const (
	// dataVolume is attached all the time, and is one raw file on backends that
	// keep files.
	dataVolume = "data"
	// layeredVolume is made from an image, has a snapshot under it and is written
	// to after that; it is moved after the upgrade.
	layeredVolume = "layered"
	// offeredVolume is never attached: it waits for another project to accept it.
	offeredVolume = "offered"
	// restoredVolume and newVolume are made after the upgrade only, and removed.
	restoredVolume = "restored"
	newVolume      = "new"
)

// Keys under which the check keeps what it needs later.
const (
	keyImage    = "image_id"
	keyType     = "type_id"
	keySnapshot = "snapshot_id"
	keyTransfer = "transfer_id"
	// keyImageSum is the hash of what the snapshot is of.
	keyImageSum = "image_sha256"
	// keyMoving is set while the layered volume is not where create, or the last
	// verify, attached it.
	keyMoving = "moving"
)

func keyVolume(what string) string     { return "volume." + what }
func keyAttachment(what string) string { return "attachment." + what }
func keyFile(what string) string       { return "file." + what }

type check struct {
	cloud  resources.Cloud
	memory *resources.Memory
}

// New returns cinder's check.
func New(cloud resources.Cloud) resources.Check {
	return &check{cloud: cloud, memory: cloud.Memory(Project)}
}

func (c *check) owner() resources.Account {
	return resources.Account{Cloud: c.cloud, Memory: c.memory, Name: "owner"}
}

// guest is the server that uses the volumes.
func (c *check) guest() guest.Guest {
	return guest.Guest{Cloud: c.cloud, Memory: c.memory, Account: c.owner(), Name: "guest"}
}

// name is what the check calls something that it makes.
func (c *check) name(what string) string {
	return resources.ResourceName(c.cloud.Tag, c.memory.Section, what)
}

// EarlyCreate implements resources.Check.
func (c *check) EarlyCreate(context.Context) error {
	return &resources.NotChecked{Reason: "no other project needs anything of cinder's check"}
}

// Create implements resources.Check.
func (c *check) Create(ctx context.Context) error {
	if err := resources.Afresh(ctx, c.cloud, c.memory, c.Destroy); err != nil {
		return err
	}
	asked, err := c.make(ctx)
	if err != nil {
		return err
	}
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	if err := s.servicesUp(ctx); err != nil {
		return err
	}
	if err := c.memory.Record(ctx, s.objects(asked)); err != nil {
		return err
	}
	if err := c.memory.RecordVersion(ctx, c.cloud, s.versions()); err != nil {
		return err
	}
	inside, err := c.inside()
	if resources.IsNotChecked(err) {
		return nil // VerifyNoAPI will say so
	}
	if err != nil {
		return err
	}
	if err := inside.locate(ctx, s); err != nil {
		return err
	}
	objects, err := inside.objects(asked)
	if err != nil {
		return err
	}
	return c.memory.Record(ctx, objects)
}

// Verify compares everything; after the upgrade, when nothing differs, it uses
// the new code, too (see after.go).
func (c *check) Verify(ctx context.Context, stage resources.Stage) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	if stage == resources.PostUpgrade {
		if err := s.finishMove(ctx); err != nil {
			return err
		}
	}
	if err := errors.Join(
		s.servicesUp(ctx),
		c.memory.Compare(ctx, stage, s.objects(nil)),
		c.memory.CompareVersion(ctx, c.cloud, s.versions(), stage),
	); err != nil || stage == resources.PreUpgrade {
		return err
	}
	return s.afterwards(ctx)
}

// VerifyNoAPI implements resources.Check.
func (c *check) VerifyNoAPI(ctx context.Context, stage resources.Stage) error {
	inside, err := c.inside()
	if err != nil {
		return err
	}
	objects, err := inside.objects(nil)
	if err != nil {
		return err
	}
	if err := c.memory.Compare(ctx, stage, objects); err != nil {
		return err
	}
	return inside.unchecked()
}

// storage is cinder's API for somebody who is logged in.
func (c *check) storage(provider *gophercloud.ProviderClient) (*gophercloud.ServiceClient, error) {
	client, err := c.cloud.Service(provider, "block-storage", "")
	if err != nil {
		return nil, err
	}
	client.Microversion = microversion
	return client, nil
}

func (c *check) compute(provider *gophercloud.ProviderClient) (*gophercloud.ServiceClient, error) {
	client, err := c.cloud.Service(provider, "compute", "v2.1")
	if err != nil {
		return nil, err
	}
	client.Microversion = guest.Microversion
	return client, nil
}
