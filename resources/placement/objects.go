package placement

import (
	"context"
	"fmt"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/allocations"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/resourceclasses"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/resourceproviders"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/traits"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/usages"

	"grenade/resources"
)

// session is what one phase needs: the administrator, the consumer's own user,
// and what create chose.
type session struct {
	check       *check
	admin, user *gophercloud.ServiceClient
	chosen      map[string]string
	project     string // id
}

func (c *check) open(ctx context.Context) (*session, error) {
	saved, err := c.memory.All()
	if err != nil {
		return nil, err
	}
	for _, key := range []string{keyName, keyRoot, keyChild, keyWriter, keyAggregate, keyConsumer, keyClass, keyTrait} {
		if saved[key] == "" {
			return nil, fmt.Errorf("the store has no [%s] %s: create did not get that far", c.memory.Section, key)
		}
	}
	s := &session{check: c, chosen: saved}
	if s.project, err = c.account().ProjectID(); err != nil {
		return nil, err
	}
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return nil, err
	}
	if s.admin, err = c.client(provider); err != nil {
		return nil, err
	}
	if provider, err = c.account().Login(ctx); err != nil {
		return nil, err
	}
	s.user, err = c.client(provider)
	return s, err
}

// objects lists everything that is compared through the API. Generations are
// in the answers: nobody writes to these providers after create, so they are
// compared like any other attribute.
func (s *session) objects() []resources.Object {
	root, child, class := s.chosen[keyRoot], s.chosen[keyChild], s.chosen[keyClass]
	objects := []resources.Object{
		{Name: "resource_class", Fetch: func(ctx context.Context) (any, error) {
			return resources.Body(resourceclasses.Get(ctx, s.admin, class).Result)
		}, Asked: map[string]any{"name": class}},
		// A trait has no body: that it is there is all there is to it.
		{Name: "trait", Fetch: func(ctx context.Context) (any, error) {
			return s.chosen[keyTrait], traits.Get(ctx, s.admin, s.chosen[keyTrait]).Err
		}},
		{Name: "allocations_of_consumer", Fetch: func(ctx context.Context) (any, error) {
			body, err := resources.Body(allocations.Get(ctx, s.admin, s.chosen[keyConsumer]).Result)
			return dictionary(body, err, "allocations")
		}, Asked: map[string]any{
			"allocations[]": []string{root, child},
			"allocations[" + root + "].resources.VCPU":     2,
			"allocations[" + root + "].resources." + class: 3,
			"allocations[" + child + "].resources.VGPU":    1,
			"project_id":    s.project,
			"consumer_type": consumerType,
		}},
		// The one thing that placement tells an ordinary user.
		{Name: "usages_read_by_own_user", Fetch: func(ctx context.Context) (any, error) {
			return resources.Body(usages.Get(ctx, s.user, usages.GetOpts{ProjectID: s.project}).Result)
		}, Asked: map[string]any{"usages." + consumerType + ".VCPU": 2, "usages." + consumerType + ".VGPU": 1}},
	}
	for _, p := range []struct {
		name, id string
		asked    map[string]any
	}{
		{"root", root, map[string]any{"name": s.chosen[keyName], "parent_provider_uuid": nil, "root_provider_uuid": root}},
		{"child", child, map[string]any{"name": s.chosen[keyName] + "-child", "parent_provider_uuid": root, "root_provider_uuid": root}},
	} {
		objects = append(objects, s.provider(p.name, p.id, p.asked)...)
	}
	return objects
}

// provider lists what belongs to one resource provider.
func (s *session) provider(name, id string, asked map[string]any) []resources.Object {
	want := map[string]any{}
	inventories := childInventories()
	if id == s.chosen[keyRoot] {
		inventories = rootInventories(s.chosen[keyClass])
	}
	for class, inventory := range inventories {
		want["inventories["+class+"].total"] = inventory.Total
		want["inventories["+class+"].reserved"] = inventory.Reserved
		want["inventories["+class+"].max_unit"] = inventory.MaxUnit
		want["inventories["+class+"].allocation_ratio"] = inventory.AllocationRatio
	}
	return []resources.Object{
		{Name: name + "_provider", Fetch: func(ctx context.Context) (any, error) {
			return resources.Body(resourceproviders.Get(ctx, s.admin, id).Result)
		}, Asked: asked},
		{Name: name + "_inventories", Fetch: func(ctx context.Context) (any, error) {
			body, err := resources.Body(resourceproviders.GetInventories(ctx, s.admin, id).Result)
			return dictionary(body, err, "inventories")
		}, Asked: want},
		{Name: name + "_traits", Fetch: func(ctx context.Context) (any, error) {
			return resources.Body(resourceproviders.GetTraits(ctx, s.admin, id).Result)
		}},
		{Name: name + "_aggregates", Fetch: func(ctx context.Context) (any, error) {
			return resources.Body(resourceproviders.GetAggregates(ctx, s.admin, id).Result)
		}},
		{Name: name + "_allocations", Fetch: func(ctx context.Context) (any, error) {
			body, err := resources.Body(resourceproviders.GetAllocations(ctx, s.admin, id).Result)
			return dictionary(body, err, "allocations")
		}},
		{Name: name + "_usages", Fetch: func(ctx context.Context) (any, error) {
			return resources.Body(resourceproviders.GetUsages(ctx, s.admin, id).Result)
		}},
	}
}

// dictionary turns a member whose keys are data, not attributes, into a list of
// objects with ids, so that an entry more is seen as one.
func dictionary(body any, err error, member string) (any, error) {
	if err != nil {
		return nil, err
	}
	object, ok := body.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("answer is %T, wanted an object", body)
	}
	entries, ok := object[member].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("answer has no %s", member)
	}
	list := []any{}
	for id, value := range entries {
		entry := map[string]any{"id": id}
		fields, ok := value.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s of %s is %T", member, id, value)
		}
		for key, field := range fields {
			entry[key] = field
		}
		list = append(list, entry)
	}
	object[member] = list
	return object, nil
}
