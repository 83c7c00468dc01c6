// Package placement checks that resource accounting survives an upgrade: a tree
// of two resource providers with inventory, traits and an aggregate, an
// allocation against them, and the generations that keep two writers apart.
//
// It acts as administrator, because placement's default policy lets nobody else
// in (placement, policies/base.py: "role:admin and system_scope:all", or the
// legacy admin rule): it is an API for services. The one exception is taken:
// the usage of a project is read by that project's own user.
package placement

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/allocations"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/resourceclasses"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/resourceproviders"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/traits"

	"grenade/resources"
)

// Project is the name under which this check is listed.
const Project = "placement"

// microversion is what the check speaks in every phase, so that an answer has
// the same form on both sides: 1.39 came with Yoga.
const microversion = "1.39"

// Keys under which the check keeps what it needs later. All ids and names are
// chosen here, and saved before anything is made.
const (
	keyRoot             = "root_provider"
	keyChild            = "child_provider"
	keyWriter           = "writer_provider"
	keyWriterGeneration = "writer_generation"
	keyWriterPending    = "writer_pending" // generation that a write in flight leads to
	keyAggregate        = "aggregate"
	keyConsumer         = "consumer"
	keyClass            = "resource_class"
	keyTrait            = "trait"
	keyName             = "name"
)

// consumerType marks the allocation as that of a server.
const consumerType = "INSTANCE"

type check struct {
	cloud  resources.Cloud
	memory *resources.Memory
}

// New returns placement's check.
func New(cloud resources.Cloud) resources.Check {
	return &check{cloud: cloud, memory: cloud.Memory(Project)}
}

func (c *check) account() resources.Account {
	return resources.Account{Cloud: c.cloud, Memory: c.memory, Name: "consumer"}
}

// EarlyCreate implements resources.Check.
func (c *check) EarlyCreate(context.Context) error {
	return &resources.NotChecked{Reason: "no other project needs anything of placement's check"}
}

// Create implements resources.Check.
func (c *check) Create(ctx context.Context) error {
	if err := resources.Afresh(ctx, c.cloud, c.memory, c.Destroy); err != nil {
		return err
	}
	if err := c.make(ctx); err != nil {
		return err
	}
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	if err := c.memory.Record(ctx, s.objects()); err != nil {
		return err
	}
	if err := s.recordWriter(ctx); err != nil {
		return err
	}
	if err := c.memory.RecordVersion(ctx, c.cloud, s.admin.Endpoint); err != nil {
		return err
	}
	inside, err := c.inside()
	if resources.IsNotChecked(err) {
		return nil // VerifyNoAPI will say so
	}
	if err != nil {
		return err
	}
	objects, err := inside.objects()
	if err != nil {
		return err
	}
	return c.memory.Record(ctx, objects)
}

// Verify compares everything; after the upgrade it writes, too (see writer.go).
func (c *check) Verify(ctx context.Context, stage resources.Stage) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(
		c.memory.Compare(ctx, stage, s.objects()),
		c.memory.CompareVersion(ctx, c.cloud, s.admin.Endpoint, stage),
		s.verifyWriter(ctx, stage),
	)
}

// VerifyNoAPI implements resources.Check.
func (c *check) VerifyNoAPI(ctx context.Context, stage resources.Stage) error {
	inside, err := c.inside()
	if err != nil {
		return err
	}
	objects, err := inside.objects()
	if err != nil {
		return err
	}
	return c.memory.Compare(ctx, stage, objects)
}

// choose saves the ids and names of everything before any of it is made.
func (c *check) choose(ctx context.Context) (map[string]string, error) {
	custom := "CUSTOM_GRENADE_" + strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, strings.ToUpper(c.cloud.Tag))
	chosen := map[string]string{
		keyName:  resources.ResourceName(c.cloud.Tag, c.memory.Section, "provider"),
		keyClass: custom,
		keyTrait: custom,
	}
	for _, key := range []string{keyRoot, keyChild, keyWriter, keyAggregate, keyConsumer} {
		id, err := resources.UUID()
		if err != nil {
			return nil, err
		}
		chosen[key] = id
	}
	return chosen, c.memory.Save(ctx, chosen)
}

func (c *check) make(ctx context.Context) error {
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return err
	}
	identity, err := c.cloud.Identity(provider)
	if err != nil {
		return err
	}
	admin, err := c.client(provider)
	if err != nil {
		return err
	}
	chosen, err := c.choose(ctx)
	if err != nil {
		return err
	}
	if err := c.account().Make(ctx, identity); err != nil {
		return err
	}
	if err := resourceclasses.Update(ctx, admin, chosen[keyClass]).Err; err != nil {
		return fmt.Errorf("create resource class %s: %w", chosen[keyClass], err)
	}
	if err := traits.Create(ctx, admin, chosen[keyTrait]).Err; err != nil {
		return fmt.Errorf("create trait %s: %w", chosen[keyTrait], err)
	}
	if err := makeProviders(ctx, admin, chosen); err != nil {
		return err
	}
	return c.allocate(ctx, admin, chosen)
}

// rootInventories and childInventories use values that differ from every
// default, so that a default that took their place would be seen.
func rootInventories(class string) map[string]resourceproviders.Inventory {
	return map[string]resourceproviders.Inventory{
		"VCPU":      {Total: 16, Reserved: 1, MinUnit: 1, MaxUnit: 8, StepSize: 1, AllocationRatio: 4.5},
		"MEMORY_MB": {Total: 32768, Reserved: 512, MinUnit: 64, MaxUnit: 16384, StepSize: 64, AllocationRatio: 1.25},
		class:       {Total: 7, Reserved: 0, MinUnit: 1, MaxUnit: 3, StepSize: 1, AllocationRatio: 1},
	}
}

func childInventories() map[string]resourceproviders.Inventory {
	return map[string]resourceproviders.Inventory{
		"VGPU": {Total: 4, Reserved: 1, MinUnit: 1, MaxUnit: 2, StepSize: 1, AllocationRatio: 1},
	}
}

func makeProviders(ctx context.Context, admin *gophercloud.ServiceClient, chosen map[string]string) error {
	for _, p := range []struct {
		id, name, parent string
		inventories      map[string]resourceproviders.Inventory
		traits           []string
	}{
		{chosen[keyRoot], chosen[keyName], "", rootInventories(chosen[keyClass]), []string{chosen[keyTrait], "HW_CPU_X86_AVX2", "COMPUTE_VOLUME_EXTEND"}},
		{chosen[keyChild], chosen[keyName] + "-child", chosen[keyRoot], childInventories(), []string{chosen[keyTrait]}},
		{chosen[keyWriter], chosen[keyName] + "-writer", "", writerInventories(0), nil},
	} {
		opts := resourceproviders.CreateOpts{Name: p.name, UUID: p.id, ParentProviderUUID: p.parent}
		if err := resourceproviders.Create(ctx, admin, opts).Err; err != nil {
			return fmt.Errorf("create resource provider %s: %w", p.name, err)
		}
		// A new provider has generation 0 and each write adds 1.
		written, err := resourceproviders.UpdateInventories(ctx, admin, p.id, resourceproviders.UpdateInventoriesOpts{Inventories: p.inventories}).Extract()
		if err != nil {
			return fmt.Errorf("set inventories of resource provider %s: %w", p.name, err)
		}
		if p.traits == nil {
			continue
		}
		if err := resourceproviders.UpdateTraits(ctx, admin, p.id, resourceproviders.UpdateTraitsOpts{
			ResourceProviderGeneration: written.ResourceProviderGeneration, Traits: p.traits,
		}).Err; err != nil {
			return fmt.Errorf("set traits of resource provider %s: %w", p.name, err)
		}
	}
	root, err := resourceproviders.Get(ctx, admin, chosen[keyRoot]).Extract()
	if err != nil {
		return fmt.Errorf("look at resource provider %s: %w", chosen[keyName], err)
	}
	if err := resourceproviders.UpdateAggregates(ctx, admin, chosen[keyRoot], resourceproviders.UpdateAggregatesOpts{
		ResourceProviderGeneration: &root.Generation, Aggregates: []string{chosen[keyAggregate]},
	}).Err; err != nil {
		return fmt.Errorf("put resource provider %s into an aggregate: %w", chosen[keyName], err)
	}
	return nil
}

// allocate takes from both providers, for a consumer of the check's own user.
func (c *check) allocate(ctx context.Context, admin *gophercloud.ServiceClient, chosen map[string]string) error {
	user, err1 := c.account().UserID()
	project, err2 := c.account().ProjectID()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	err := allocations.Update(ctx, admin, chosen[keyConsumer], allocations.UpdateOpts{
		Allocations: map[string]allocations.ProviderAllocationsOpts{
			chosen[keyRoot]:  {Resources: map[string]int{"VCPU": 2, "MEMORY_MB": 2048, chosen[keyClass]: 3}},
			chosen[keyChild]: {Resources: map[string]int{"VGPU": 1}},
		},
		ProjectID: project, UserID: user, ConsumerType: consumerType,
	}).ExtractErr()
	if err != nil {
		return fmt.Errorf("allocate for consumer %s: %w", chosen[keyConsumer], err)
	}
	return nil
}

func (c *check) client(provider *gophercloud.ProviderClient) (*gophercloud.ServiceClient, error) {
	client, err := c.cloud.Service(provider, "placement", "")
	if err != nil {
		return nil, err
	}
	client.Microversion = microversion
	return client, nil
}

func parseGeneration(text string) (int, error) {
	generation, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("generation in the store: %w", err)
	}
	return generation, nil
}
