package nova

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"grenade/resources"
	"grenade/resources/guest"
)

// Keys of what afterwards makes and removes again.
const (
	keyExtraPort   = "extra_port_id"
	keyExtraVolume = "extra_volume_id"
	keyExtraName   = "extra_name"
)

// afterwards uses the new code: the old guest is stopped and started, an
// interface and a volume come and go, and a second guest is made beside it, all
// at the same time. Everything is undone, so that verify can be repeated; the
// guest's new run is recorded.
func (c *check) afterwards(ctx context.Context, s *session) error {
	var old, second error
	var together sync.WaitGroup
	together.Go(func() {
		began := time.Now()
		if old = c.restart(ctx, s); old == nil {
			old = c.attachAndDetach(ctx, s)
		}
		c.memory.Log.Infof("the guest was stopped, started, and had things attached and detached in %s", time.Since(began).Round(time.Second))
	})
	together.Go(func() { second = c.makeSecond(ctx) })
	together.Wait()
	if err := errors.Join(old, second); err != nil {
		return fmt.Errorf("use of the new release: %w", err)
	}
	return nil
}

// restart stops and starts the guest.
func (c *check) restart(ctx context.Context, s *session) error {
	before, err := c.answer(ctx)
	if err != nil {
		return err
	}
	if err := c.memory.Save(ctx, map[string]string{keyRestart: "yes"}); err != nil {
		return err
	}
	if err := servers.Stop(ctx, s.compute, s.server).ExtractErr(); err != nil {
		return fmt.Errorf("stop server %s: %w", s.server, err)
	}
	if err := guest.AwaitStatus(ctx, s.compute, s.server, "SHUTOFF"); err != nil {
		return err
	}
	if err := c.started(ctx, s); err != nil {
		return err
	}
	after, err := c.answer(ctx)
	if err != nil {
		return err
	}
	if after.BootID == before.BootID {
		return fmt.Errorf("server %s was stopped and started, and its guest still has boot id %s", s.server, before.BootID)
	}
	// Record also finds that the disks have kept their content.
	return errors.Join(c.recordRun(ctx, s), c.memory.Save(ctx, map[string]string{keyRestart: ""}))
}

// attachAndDetach attaches a new port and a new volume and takes them off again.
func (c *check) attachAndDetach(ctx context.Context, s *session) error {
	if err := c.removeExtras(ctx); err != nil {
		return err
	}
	name := resources.ResourceName(c.cloud.Tag, c.memory.Section, "extra")
	if err := c.memory.Save(ctx, map[string]string{keyExtraName: name}); err != nil {
		return err
	}
	if err := c.attachPort(ctx, s.own, s.server, name, keyExtraPort); err != nil {
		return err
	}
	port, err := c.memory.Get(keyExtraPort)
	if err != nil {
		return err
	}
	if err := c.detachPort(ctx, s.own, s.server, port); err != nil {
		return err
	}
	if s.volumes != nil {
		if err := c.useVolume(ctx, s, name); err != nil {
			return err
		}
	}
	return c.removeExtras(ctx)
}

// useVolume attaches a new volume, writes to it, reads it and detaches it.
func (c *check) useVolume(ctx context.Context, s *session, name string) error {
	if err := c.attachVolume(ctx, s.own, s.volumes, s.server, name, keyExtraVolume); err != nil {
		return err
	}
	volume, err := c.memory.Get(keyExtraVolume)
	if err != nil {
		return err
	}
	// The guest reads back what it has written.
	if _, err := c.writeRandom(ctx, volume, contentLength); err != nil {
		return err
	}
	return c.detachVolume(ctx, s.own, s.volumes, s.server, volume)
}

// makeSecond makes a guest on the new code, pings it and removes it.
func (c *check) makeSecond(ctx context.Context) error {
	began := time.Now()
	second := c.second()
	// What a verify that failed or was killed has left.
	if err := second.Remove(ctx); err != nil {
		return err
	}
	if err := second.Make(ctx, guest.Options{}); err != nil {
		return errors.Join(err, second.Remove(context.WithoutCancel(ctx)))
	}
	responder, err := second.Responder()
	if err != nil {
		return err
	}
	if err := errors.Join(responder.Ping(ctx), second.Remove(ctx)); err != nil {
		return fmt.Errorf("second guest: %w", err)
	}
	c.memory.Log.Infof("a second guest was made, answered and was removed in %s", time.Since(began).Round(time.Second))
	return nil
}
