// Package neutron checks that a network survives an upgrade, and carries traffic
// throughout: a network with its subnet, ports, router, security group, floating
// IP and quota, the namespaces, processes and rules that neutron makes of them on
// the node, and a probe in the place of a guest that gets its address by DHCP,
// reaches the world, and is reached. Nova is not needed.
//
// Everything is done as an ordinary user but what neutron's policies keep for
// the administrator, or for nova: the port's binding to a host, the quota, the
// sharing of a network with everybody.
package neutron

import (
	"context"
	"errors"
	"fmt"

	"grenade/resources"
)

// Project is the name under which this check is listed.
const Project = "neutron"

// Keys under which the check keeps what it needs later. Ids are saved right
// after the thing was made; Destroy does without them, because everything is in
// the check's own project.
const (
	keyAnswer   = "answer"   // what the probe says when asked
	keyInstance = "instance" // the id of the server that the probe plays
	keyGroup    = "security_group_id"
	keyNetwork  = "network_id"
	keySubnet   = "subnet_id"
	keyRouter   = "router_id"
	keyPort     = "port_id"
	keyFloating = "floating_ip_id"
	keyAddress  = "floating_ip" // its address
	keyPublic   = "public_id"   // the external network
	keyOutside  = "outside"     // address of the external network's gateway
	keyHost     = "host"        // the node, as neutron's agents call it

	// Of the network that other projects' checks use, by their agreement.
	keyShared        = sharerName + "."
	keySharedNetwork = keyShared + "network_id"
	keySharedSubnet  = keyShared + "subnet_id"
	keySharedRouter  = keyShared + "router_id"

	// The second port and its group, which exist for the time of a verify.
	keySecondPort  = "second_port_id"
	keySecondGroup = "second_group_id"

	// keyWitness names an address that is pinged all through the upgrade.
	keyWitness = "witness_probe"
)

type check struct {
	cloud  resources.Cloud
	memory *resources.Memory
}

// New returns neutron's check.
func New(cloud resources.Cloud) resources.Check {
	return &check{cloud: cloud, memory: cloud.Memory(Project)}
}

// owner has everything that only this check uses.
func (c *check) owner() resources.Account {
	return resources.Account{Cloud: c.cloud, Memory: c.memory, Name: "owner"}
}

// sharerName is the account's name and the prefix of the keys that others read.
const sharerName = "shared"

// sharer has the network that other projects' checks use.
func (c *check) sharer() resources.Account {
	return resources.Account{Cloud: c.cloud, Memory: c.memory, Name: sharerName}
}

// EarlyCreate makes the network, with a subnet and a router to the world, that
// the checks of nova and cinder put their guests on.
func (c *check) EarlyCreate(ctx context.Context) error {
	if c.cloud.Tag == "" {
		return resources.ErrNoTag
	}
	if err := c.destroyAccount(ctx, c.sharer()); err != nil {
		return fmt.Errorf("remove what an earlier early create left: %w", err)
	}
	return c.makeShared(ctx)
}

// Create implements resources.Check.
func (c *check) Create(ctx context.Context) error {
	owned := func(ctx context.Context) error { return c.destroyAccount(ctx, c.owner()) }
	if err := resources.Afresh(ctx, c.cloud, c.memory, owned, keyShared); err != nil {
		return err
	}
	if err := c.make(ctx); err != nil {
		return err
	}
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	if err := s.waitSettled(ctx); err != nil {
		return err
	}
	if err := c.memory.Record(ctx, s.objects()); err != nil {
		return err
	}
	view, err := c.inside()
	if resources.IsNotChecked(err) {
		return nil // the later phases will say so
	}
	if err != nil {
		return err
	}
	if err := view.waitSettled(ctx, s); err != nil {
		return err
	}
	return c.memory.Record(ctx, append(view.traffic(), view.objects()...))
}

// Verify compares everything; after the upgrade it goes on to make use of the
// new code (see afterwards.go).
func (c *check) Verify(ctx context.Context, stage resources.Stage) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	view, err := c.inside()
	if err != nil && !resources.IsNotChecked(err) {
		return err
	}
	if view != nil {
		// A verify that was killed may have left it.
		if err := c.removeSecondPort(ctx, s, view); err != nil {
			return err
		}
	}
	if stage == resources.PostUpgrade {
		// Agents that have just started look at everything once more, and say
		// so. Where that does not come to an end, the comparison tells.
		if err := s.waitSettled(ctx); err != nil && ctx.Err() != nil {
			return err
		}
	}
	objects := s.objects()
	if view != nil {
		objects = append(append(objects, view.traffic()...), view.node(stage))
	}
	if err := c.memory.Compare(ctx, stage, objects); err != nil {
		return err
	}
	if stage == resources.PostUpgrade {
		return c.afterwards(ctx, s, view)
	}
	return nil
}

// VerifyNoAPI implements resources.Check.
func (c *check) VerifyNoAPI(ctx context.Context, stage resources.Stage) error {
	view, err := c.inside()
	if err != nil {
		return err
	}
	return c.memory.Compare(ctx, stage, append(view.traffic(), view.objects()...))
}

// Destroy implements resources.Check.
func (c *check) Destroy(ctx context.Context) error {
	return errors.Join(c.destroyAccount(ctx, c.owner()), c.destroyAccount(ctx, c.sharer()))
}
