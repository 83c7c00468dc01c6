package nova

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"grenade/resources"
	"grenade/resources/guest"
)

// answersWithin is how long a guest that runs may fail to answer: agents that
// start anew may cut its network for a moment.
const answersWithin = 15 * time.Second

// answer asks the guest itself how it is. One that does not answer is *Gone.
func (c *check) answer(ctx context.Context) (guest.State, error) {
	responder, err := c.guest().Responder()
	if err != nil {
		return guest.State{}, err
	}
	limited, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	for {
		state, err := responder.State(limited)
		switch {
		case err == nil:
			return state, nil
		case ctx.Err() != nil:
			return state, err
		case limited.Err() != nil:
			return state, &resources.Gone{What: fmt.Sprintf("no answer within %s: %v", answersWithin, err)}
		}
		select {
		case <-limited.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// runObjects is what is compared of this run of the guest: it must be the same
// until the check itself stops the guest. s is nil while the API is down.
func (c *check) runObjects(s *session) ([]resources.Object, error) {
	saved, err := c.memory.All()
	if err != nil {
		return nil, err
	}
	responder, err := c.guest().Responder()
	if err != nil {
		return nil, err
	}
	place, err := strconv.ParseInt(saved[keyPlace], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("[%s] %s in the store: %w", c.memory.Section, keyPlace, err)
	}
	list := []resources.Object{
		{Name: "guest", Fetch: func(ctx context.Context) (any, error) { return c.guestFacts(ctx) }},
		{Name: "ping", Fetch: func(ctx context.Context) (any, error) {
			if err := responder.Ping(ctx); err != nil && ctx.Err() == nil {
				return nil, &resources.Gone{What: err.Error()}
			}
			return "answered", nil
		}},
		{Name: "root_disk_content", Fetch: content(responder, rootDisk, place), Asked: map[string]any{"sha256": saved[keyDiskContent]}},
	}
	if volume := saved[keyVolume]; volume != "" {
		list = append(list, resources.Object{
			Name: "volume_content", Fetch: content(responder, volume, 0), Asked: map[string]any{"sha256": saved[keyVolContent]},
		})
	}
	if s != nil {
		list = append(list,
			resources.Object{Name: "console", Fetch: func(ctx context.Context) (any, error) { return s.console(ctx) }},
			resources.Object{Name: "metadata_service", Fetch: func(ctx context.Context) (any, error) {
				document, err := responder.Metadata(ctx)
				if err != nil && ctx.Err() == nil {
					return nil, &resources.Gone{What: err.Error()}
				}
				return document, err
			}, Tolerated: []resources.Tolerated{{Attribute: "random_seed", Reason: "random in every answer"}}},
		)
	}
	inside, err := c.inside()
	if resources.IsNotChecked(err) {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	server, err := c.guest().ServerID()
	if err != nil {
		return nil, err
	}
	return append(list, resources.Object{Name: "qemu", Fetch: func(ctx context.Context) (any, error) { return inside.qemu(ctx, server) }}), nil
}

// guestFacts are those of the guest's own words that do not change by themselves.
func (c *check) guestFacts(ctx context.Context) (any, error) {
	state, err := c.answer(ctx)
	if err != nil {
		return nil, err
	}
	disks := []any{}
	for _, disk := range state.Disks {
		disks = append(disks, map[string]any{"id": disk.Name, "serial": disk.Serial, "bytes": disk.Bytes})
	}
	return map[string]any{
		"boot_id": state.BootID, "kernel": state.Kernel, "hostname": state.Hostname, "address": state.Address, "disks": disks,
	}, nil
}

// content reads our bytes in the guest, past its page cache.
func content(responder guest.Responder, disk string, offset int64) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		bytes, err := responder.Read(ctx, disk, offset, contentLength)
		if err != nil && ctx.Err() == nil {
			return nil, &resources.Gone{What: err.Error()}
		}
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(bytes)
		return map[string]any{"sha256": hex.EncodeToString(sum[:])}, nil
	}
}

// console returns the line that the guest wrote when it started, out of the
// console log that nova keeps.
func (s *session) console(ctx context.Context) (any, error) {
	state, err := s.check.answer(ctx)
	if err != nil {
		return nil, err
	}
	text, err := servers.ShowConsoleOutput(ctx, s.compute, s.server, servers.ShowConsoleOutputOpts{}).Extract()
	if err != nil {
		return nil, err //nolint:wrapcheck // its status tells the comparison what it means
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "started") && strings.Contains(line, "boot_id="+state.BootID) {
			return map[string]any{"line": strings.TrimSpace(line)}, nil
		}
	}
	return nil, &resources.Gone{What: fmt.Sprintf("no line of boot %s in %d bytes of console log", state.BootID, len(text))}
}

// recordRun records this run of the guest.
func (c *check) recordRun(ctx context.Context, s *session) error {
	objects, err := c.runObjects(s)
	if err != nil {
		return err
	}
	if err := c.memory.Record(ctx, objects); err != nil {
		return err
	}
	state, err := c.answer(ctx)
	if err != nil {
		return err
	}
	return c.memory.Save(ctx, map[string]string{keyUptime: state.Uptime.String()})
}

// finishRestart ends a restart that a killed verify began: whatever run of the
// guest there is now is the one to compare from here on.
func (c *check) finishRestart(ctx context.Context, s *session) error {
	pending, err := c.memory.Find(keyRestart)
	if err != nil || pending == "" {
		return err
	}
	c.memory.Log.Warn("an earlier verify was killed while it stopped and started the guest: the guest is started and recorded anew")
	if err := c.started(ctx, s); err != nil {
		return err
	}
	return errors.Join(c.recordRun(ctx, s), c.memory.Save(ctx, map[string]string{keyRestart: ""}))
}

// started makes sure that the guest runs and answers.
func (c *check) started(ctx context.Context, s *session) error {
	seen, err := servers.Get(ctx, s.compute, s.server).Extract()
	if err != nil {
		return fmt.Errorf("look at server %s: %w", s.server, err)
	}
	if seen.TaskState == "powering-off" {
		if err := guest.AwaitStatus(ctx, s.compute, s.server, "SHUTOFF"); err != nil {
			return err
		}
		seen.Status = "SHUTOFF"
	}
	if seen.Status == "SHUTOFF" && seen.TaskState != "powering-on" {
		if err := servers.Start(ctx, s.compute, s.server).ExtractErr(); err != nil {
			return fmt.Errorf("start server %s: %w", s.server, err)
		}
	}
	if err := guest.AwaitStatus(ctx, s.compute, s.server, "ACTIVE"); err != nil {
		return err
	}
	return c.guest().AwaitAnswer(ctx, s.compute)
}
