// Package nova checks that a running server survives an upgrade: the guest
// itself, which must be the very same run with the same content on its disks,
// and everything that nova knows of it, from its flavor to its allocations. The
// ordinary user owns all but the flavor and the quota, which only administrators
// make. After the upgrade the guest is stopped and started, things are attached
// to it and detached, and a second guest is made.
package nova

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"grenade/resources"
	"grenade/resources/guest"
)

// Project is the name under which this check is listed.
const Project = "nova"

// Keys under which the check keeps what it needs later. Guests have their own.
const (
	keyName         = "name"        // of everything but the guests
	keyFlavor       = "flavor_id"   //
	keyServerGroup  = "group_id"    //
	keyPort         = "port_id"     // attached to the guest beside its own
	keyVolume       = "volume_id"   // attached to the guest; "" when the cloud has none
	keyPlace        = "place"       // offset of our bytes on the root disk
	keyUptime       = "uptime"      // of the guest when it was recorded, as a Go duration
	keyActions      = "actions"     // request ids of what was done to the server until it was recorded
	keyHypervisor   = "hypervisor"  // id
	keyCellDatabase = "cell_db"     // name of the database of the cell that has the server
	keyAPIDatabase  = "api_db"      // name of nova's API database
	keyRestart      = "restarting"  // set while the guest is stopped and started
	keyDiskContent  = "disk_sha256" // of our bytes on the root disk
	keyVolContent   = "volume_sha256"
)

// contentLength is in bytes.
const contentLength = 64 << 10

type check struct {
	cloud  resources.Cloud
	memory *resources.Memory
}

// New returns nova's check.
func New(cloud resources.Cloud) resources.Check {
	return &check{cloud: cloud, memory: cloud.Memory(Project)}
}

func (c *check) owner() resources.Account {
	return resources.Account{Cloud: c.cloud, Memory: c.memory, Name: "owner"}
}

// guest is the one that has to survive, second the one that is made afterwards,
// and former one that create makes and removes: see unmigrated.
func (c *check) guest() guest.Guest  { return c.named("guest") }
func (c *check) second() guest.Guest { return c.named("second") }
func (c *check) former() guest.Guest { return c.named("former") }

func (c *check) named(name string) guest.Guest {
	return guest.Guest{Cloud: c.cloud, Memory: c.memory, Account: c.owner(), Name: name}
}

// EarlyCreate implements resources.Check.
func (c *check) EarlyCreate(context.Context) error {
	return &resources.NotChecked{Reason: "no other project needs anything of nova's check"}
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
	if err := s.locate(ctx); err != nil {
		return err
	}
	if err := c.memory.Record(ctx, s.objects(asked)); err != nil {
		return err
	}
	if err := c.recordRun(ctx, s); err != nil {
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
	if err := inside.locate(ctx); err != nil {
		return err
	}
	if err := inside.remembersFormer(ctx); err != nil {
		return err
	}
	objects, err := inside.objects()
	if err != nil {
		return err
	}
	return c.memory.Record(ctx, objects)
}

// Verify implements resources.Check.
func (c *check) Verify(ctx context.Context, stage resources.Stage) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	if err := c.finishRestart(ctx, s); err != nil {
		return err
	}
	if s.volumes == nil {
		c.memory.Log.Warn("not checked: volumes attached to a server; the cloud has no volume service")
	}
	run, err := c.runObjects(s)
	if err != nil {
		return err
	}
	err = errors.Join(
		c.memory.Compare(ctx, stage, append(run, s.objects(nil)...)),
		c.compareUptime(ctx, stage),
		c.memory.CompareVersion(ctx, c.cloud, s.versions(), stage),
	)
	if stage == resources.PreUpgrade {
		return err
	}
	if err = errors.Join(err, c.migrated(ctx)); err != nil {
		return err
	}
	return c.afterwards(ctx, s)
}

// VerifyNoAPI implements resources.Check.
func (c *check) VerifyNoAPI(ctx context.Context, stage resources.Stage) error {
	objects, err := c.runObjects(nil)
	if err != nil {
		return err
	}
	inside, notInside := c.inside()
	if notInside != nil && !resources.IsNotChecked(notInside) {
		return notInside
	}
	if notInside == nil {
		rows, err := inside.objects()
		if err != nil {
			return err
		}
		objects = append(objects, rows...)
	}
	if err := errors.Join(c.memory.Compare(ctx, stage, objects), c.compareUptime(ctx, stage)); err != nil {
		return err
	}
	return notInside
}

// migrated fails when the database still holds servers as the base release wrote
// them, whatever the upgrade said of its online data migrations.
func (c *check) migrated(ctx context.Context) error {
	inside, err := c.inside()
	if resources.IsNotChecked(err) {
		c.memory.Log.Warn("not checked: that the online data migrations are finished; there is no way to the database")
		return nil
	}
	if err != nil {
		return err
	}
	servers, err := inside.unmigrated(ctx)
	if err != nil {
		return err
	}
	if len(servers) > 0 {
		return fmt.Errorf("online data migrations are not finished: no compute node's id in the rows of servers %s", strings.Join(servers, ", "))
	}
	return nil
}

// compareUptime fails when the guest has been up for less time than when it was
// recorded: it has started anew since. That it does not answer is said elsewhere.
func (c *check) compareUptime(ctx context.Context, stage resources.Stage) error {
	text, err := c.memory.Get(keyUptime)
	if err != nil {
		return err
	}
	saved, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("[%s] %s in the store: %w", c.memory.Section, keyUptime, err)
	}
	state, err := c.answer(ctx)
	if resources.IsGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if state.Uptime >= saved {
		return nil
	}
	return &resources.Difference{Subject: c.memory.Section + ", " + string(stage), Changes: []resources.Change{
		{Attribute: "guest.uptime", Saved: saved.String() + " or more", Seen: state.Uptime.String()},
	}}
}
