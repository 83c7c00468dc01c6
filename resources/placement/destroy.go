package placement

import (
	"context"
	"errors"
	"fmt"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/allocations"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/resourceclasses"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/resourceproviders"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/traits"

	"grenade/resources"
)

// Destroy removes the allocation, the providers, the class, the trait and the
// account. All ids were chosen and saved before anything was made, so nothing
// can be missed. Placement itself keeps two kinds of rows that no API removes:
// the aggregate's uuid, and the ids of the consumer's project and user.
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
	admin, err := c.client(provider)
	if err != nil {
		return err
	}
	identity, err := c.cloud.Identity(provider)
	if err != nil {
		return err
	}
	return errors.Join(destroyAll(ctx, admin, saved), c.account().Remove(ctx, identity))
}

func destroyAll(ctx context.Context, admin *gophercloud.ServiceClient, saved map[string]string) error {
	var errs []error
	if id := saved[keyConsumer]; id != "" {
		if err := destroyAllocations(ctx, admin, id); err != nil {
			errs = append(errs, err)
		}
	}
	// A parent goes after its children.
	for _, key := range []string{keyChild, keyRoot, keyWriter} {
		id := saved[key]
		if id == "" {
			continue
		}
		errs = append(errs, resources.Delete(ctx, "resource provider "+id,
			func(ctx context.Context) error { return resourceproviders.Delete(ctx, admin, id).ExtractErr() },
			func(ctx context.Context) error { return resourceproviders.Get(ctx, admin, id).Err }))
	}
	if name := saved[keyClass]; name != "" {
		errs = append(errs, resources.Delete(ctx, "resource class "+name,
			func(ctx context.Context) error { return resourceclasses.Delete(ctx, admin, name).ExtractErr() },
			func(ctx context.Context) error { return resourceclasses.Get(ctx, admin, name).Err }))
	}
	if name := saved[keyTrait]; name != "" {
		errs = append(errs, resources.Delete(ctx, "trait "+name,
			func(ctx context.Context) error { return traits.Delete(ctx, admin, name).ExtractErr() },
			func(ctx context.Context) error { return traits.Get(ctx, admin, name).Err }))
	}
	return errors.Join(errs...)
}

// destroyAllocations differs from the other removals in how it looks: placement
// answers for a consumer that it does not know with an empty list.
func destroyAllocations(ctx context.Context, admin *gophercloud.ServiceClient, consumer string) error {
	if err := allocations.Delete(ctx, admin, consumer).ExtractErr(); err != nil && !resources.IsGone(err) {
		return fmt.Errorf("delete allocations of consumer %s: %w", consumer, err)
	}
	left, err := allocations.Get(ctx, admin, consumer).Extract()
	if err != nil {
		return fmt.Errorf("look for allocations of consumer %s: %w", consumer, err)
	}
	if len(left.Allocations) > 0 {
		return fmt.Errorf("delete allocations of consumer %s: %d are still there", consumer, len(left.Allocations))
	}
	return nil
}
