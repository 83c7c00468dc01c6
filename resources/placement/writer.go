package placement

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/resourceproviders"

	"grenade/resources"
)

// The writer is a provider of its own on which verify tries, after the upgrade,
// what generations are for: a write that names the generation saved before it
// is accepted, one that names an older generation is refused. A write changes
// the generation; so that verify can be repeated, each one saves what it leads
// to, before and after. Its inventory says which write was the last: total is
// writerTotal plus the number of writes.

const (
	writerClass = "DISK_GB"
	writerTotal = 100
)

func writerInventories(writes int) map[string]resourceproviders.Inventory {
	return map[string]resourceproviders.Inventory{
		writerClass: {Total: writerTotal + writes, MinUnit: 1, MaxUnit: 10, StepSize: 1, AllocationRatio: 1},
	}
}

// firstWriterGeneration is the generation after create's own write.
const firstWriterGeneration = 1

func (s *session) writer(ctx context.Context) (*resourceproviders.ResourceProviderInventories, error) {
	seen, err := resourceproviders.GetInventories(ctx, s.admin, s.chosen[keyWriter]).Extract()
	if err != nil {
		return nil, fmt.Errorf("inventories of resource provider %s-writer: %w", s.chosen[keyName], err)
	}
	return seen, nil
}

func (s *session) recordWriter(ctx context.Context) error {
	seen, err := s.writer(ctx)
	if err != nil {
		return err
	}
	if seen.ResourceProviderGeneration != firstWriterGeneration {
		return fmt.Errorf("create: resource provider %s-writer has generation %d after one write", s.chosen[keyName], seen.ResourceProviderGeneration)
	}
	return s.check.memory.Save(ctx, map[string]string{keyWriterGeneration: strconv.Itoa(firstWriterGeneration), keyWriterPending: ""})
}

func (s *session) verifyWriter(ctx context.Context, stage resources.Stage) error {
	saved, err := s.savedGeneration(ctx)
	if err != nil {
		return err
	}
	if err := s.compareWriter(ctx, stage, saved); err != nil {
		return err
	}
	if stage == resources.PreUpgrade {
		return nil
	}
	if err := s.tryStale(ctx, stage, saved); err != nil {
		return err
	}
	return s.tryCurrent(ctx, stage, saved)
}

// savedGeneration is the one that the last recorded write led to. When a verify
// was killed in a write, the write may have happened or not: both are right,
// and the provider itself says which.
func (s *session) savedGeneration(ctx context.Context) (int, error) {
	text, err := s.check.memory.Get(keyWriterGeneration)
	if err != nil {
		return 0, err
	}
	saved, err := parseGeneration(text)
	if err != nil {
		return 0, err
	}
	pending, err := s.check.memory.Find(keyWriterPending)
	if err != nil || pending == "" {
		return saved, err
	}
	next, err := parseGeneration(pending)
	if err != nil {
		return 0, err
	}
	seen, err := s.writer(ctx)
	if err != nil {
		return 0, err
	}
	if seen.ResourceProviderGeneration == next {
		return next, nil
	}
	return saved, nil
}

func (s *session) compareWriter(ctx context.Context, stage resources.Stage, saved int) error {
	seen, err := s.writer(ctx)
	if resources.IsGone(err) {
		return s.difference(stage, resources.Change{Attribute: "writer_provider", Saved: "there when create saved it", Seen: "HTTP 404"})
	}
	if err != nil {
		return err
	}
	var changes []resources.Change
	if seen.ResourceProviderGeneration != saved {
		changes = append(changes, resources.Change{Attribute: "writer_provider.generation", Saved: strconv.Itoa(saved), Seen: strconv.Itoa(seen.ResourceProviderGeneration)})
	}
	want := writerInventories(saved - firstWriterGeneration)
	if len(seen.Inventories) != 1 || seen.Inventories[writerClass] != want[writerClass] {
		changes = append(changes, resources.Change{Attribute: "writer_provider.inventories", Saved: fmt.Sprintf("%+v", want), Seen: fmt.Sprintf("%+v", seen.Inventories)})
	}
	if len(changes) == 0 {
		return nil
	}
	return s.difference(stage, changes...)
}

func (s *session) difference(stage resources.Stage, changes ...resources.Change) error {
	return &resources.Difference{Subject: s.check.memory.Section + ", " + string(stage), Changes: changes}
}

func (s *session) write(ctx context.Context, generation, writes int) (*resourceproviders.ResourceProviderInventories, error) {
	written, err := resourceproviders.UpdateInventories(ctx, s.admin, s.chosen[keyWriter], resourceproviders.UpdateInventoriesOpts{
		ResourceProviderGeneration: generation, Inventories: writerInventories(writes),
	}).Extract()
	if err != nil {
		return nil, fmt.Errorf("write with generation %d to resource provider %s-writer: %w", generation, s.chosen[keyName], err)
	}
	return written, nil
}

// tryStale writes with a generation that has passed.
func (s *session) tryStale(ctx context.Context, stage resources.Stage, saved int) error {
	stale := saved - 1
	_, err := s.write(ctx, stale, saved)
	if gophercloud.ResponseCodeIs(err, http.StatusConflict) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.difference(stage, resources.Change{
		Attribute: fmt.Sprintf("writer_provider: write with stale generation %d", stale), Saved: "refused with HTTP 409", Seen: "accepted",
	})
}

// tryCurrent writes with the saved generation.
func (s *session) tryCurrent(ctx context.Context, stage resources.Stage, saved int) error {
	next := saved + 1
	if err := s.check.memory.Save(ctx, map[string]string{keyWriterGeneration: strconv.Itoa(saved), keyWriterPending: strconv.Itoa(next)}); err != nil {
		return err
	}
	written, err := s.write(ctx, saved, next-firstWriterGeneration)
	if gophercloud.ResponseCodeIs(err, http.StatusConflict) {
		return s.difference(stage, resources.Change{
			Attribute: fmt.Sprintf("writer_provider: write with saved generation %d", saved), Saved: "accepted", Seen: err.Error(),
		})
	}
	if err != nil {
		return err
	}
	if err := s.check.memory.Save(ctx, map[string]string{keyWriterGeneration: strconv.Itoa(written.ResourceProviderGeneration), keyWriterPending: ""}); err != nil {
		return err
	}
	if written.ResourceProviderGeneration != next {
		return s.difference(stage, resources.Change{
			Attribute: "writer_provider.generation after a write", Saved: strconv.Itoa(next), Seen: strconv.Itoa(written.ResourceProviderGeneration),
		})
	}
	return nil
}
