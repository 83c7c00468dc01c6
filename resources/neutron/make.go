package neutron

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/attributestags"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/routers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/portsbinding"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/quotas"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/rules"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"

	"grenade/resources"
)

// Description of what is made: not only ASCII, because a database whose
// character set changed shows only then.
const description = "made before the upgrade · créé avant · 升级前"

// The two subnets. Each hangs on a router of its own, so nobody else's addresses
// matter, but for the world's: a guest that shares its prefix with what it is to
// reach would not reach it.
const (
	ownPrefix    = "192.168.231.0/26"
	ownGateway   = "192.168.231.1"
	ownFirst     = "192.168.231.10"
	ownLast      = "192.168.231.50"
	probeAddress = "192.168.231.20"
	pairAddress  = "192.168.231.60" // an address that the port may send from as well
	sharedPrefix = "192.168.232.0/24"

	// Of RFC 5737: routes and servers that lead nowhere.
	hostRoute   = "198.51.100.0/24"
	routerRoute = "203.0.113.0/24"
	nameServer  = "192.0.2.53"
)

// What the project may have at most; all far from neutron's defaults.
func limits() map[string]int {
	return map[string]int{"network": 17, "subnet": 19, "port": 43, "router": 13, "floatingip": 29, "security_group": 11, "security_group_rule": 97}
}

// The ports at which the probe answers. Its security group opens the first.
const (
	openPort   = 80
	closedPort = 8080
)

// deviceOwner says what the port is for, as "compute:nova" does of nova's.
const deviceOwner = "compute:grenade"

// maker makes things for one of the accounts, and saves what they are.
type maker struct {
	*resources.Memory
	tag   string
	owner *gophercloud.ServiceClient
	admin *gophercloud.ServiceClient
}

func (m *maker) name(what string) string { return resources.ResourceName(m.tag, m.Section, what) }

// keep saves the id of what was made, or says that it was not.
func (m *maker) keep(ctx context.Context, key, id string, err error) error {
	if err != nil {
		return fmt.Errorf("create %s: %w", strings.TrimSuffix(key, "_id"), err)
	}
	return m.Save(ctx, map[string]string{key: id})
}

// maker makes the account and returns who makes the rest.
func (c *check) maker(ctx context.Context, account resources.Account) (*maker, error) {
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return nil, err
	}
	identity, err := c.cloud.Identity(provider)
	if err != nil {
		return nil, err
	}
	if err := account.Make(ctx, identity); err != nil {
		return nil, err
	}
	admin, err := c.service(provider)
	if err != nil {
		return nil, err
	}
	owner, err := c.client(ctx, account)
	if err != nil {
		return nil, err
	}
	return &maker{Memory: c.memory, tag: c.cloud.Tag, owner: owner, admin: admin}, nil
}

func (c *check) service(provider *gophercloud.ProviderClient) (*gophercloud.ServiceClient, error) {
	return c.cloud.Service(provider, "network", "v2.0")
}

func (c *check) client(ctx context.Context, account resources.Account) (*gophercloud.ServiceClient, error) {
	provider, err := account.Login(ctx)
	if err != nil {
		return nil, err
	}
	return c.service(provider)
}

// makeShared makes the network for other projects' checks.
func (c *check) makeShared(ctx context.Context) error {
	m, err := c.maker(ctx, c.sharer())
	if err != nil {
		return err
	}
	public, _, err := external(ctx, m.admin, c.cloud.PublicNetworkName())
	if err != nil {
		return err
	}
	network, err := networks.Create(ctx, m.owner, networks.CreateOpts{Name: m.name("shared"), Description: description}).Extract()
	if err := m.keep(ctx, keySharedNetwork, idOf(network, func() string { return network.ID }), err); err != nil {
		return err
	}
	subnet, err := subnets.Create(ctx, m.owner, subnets.CreateOpts{
		NetworkID: network.ID, Name: m.name("shared"), IPVersion: gophercloud.IPv4, CIDR: sharedPrefix,
	}).Extract()
	if err := m.keep(ctx, keySharedSubnet, idOf(subnet, func() string { return subnet.ID }), err); err != nil {
		return err
	}
	if err := m.router(ctx, keySharedRouter, "shared", public, subnet.ID); err != nil {
		return err
	}
	// Neutron's policy: only an administrator shares with everybody.
	yes := true
	if err := networks.Update(ctx, m.admin, network.ID, networks.UpdateOpts{Shared: &yes}).Err; err != nil {
		return fmt.Errorf("share network %s with every project: %w", network.ID, err)
	}
	return nil // agents wire it meanwhile; create waits for them
}

// make creates everything that only this check uses.
func (c *check) make(ctx context.Context) error {
	m, err := c.maker(ctx, c.owner())
	if err != nil {
		return err
	}
	answer, err1 := resources.Secret()
	instance, err2 := resources.UUID()
	project, err3 := c.owner().ProjectID()
	public, outside, err4 := external(ctx, m.admin, c.cloud.PublicNetworkName())
	host, err5 := c.host(ctx, m.admin)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	if err := m.Save(ctx, map[string]string{
		keyAnswer: answer, keyInstance: instance, keyPublic: public, keyOutside: outside, keyHost: host,
	}); err != nil {
		return err
	}
	limit := func(name string) *int { n := limits()[name]; return &n }
	if err := quotas.Update(ctx, m.admin, project, quotas.UpdateOpts{
		Network: limit("network"), Subnet: limit("subnet"), Port: limit("port"), Router: limit("router"),
		FloatingIP: limit("floatingip"), SecurityGroup: limit("security_group"), SecurityGroupRule: limit("security_group_rule"),
	}).Err; err != nil {
		return fmt.Errorf("set the quota of project %s: %w", project, err)
	}
	for _, part := range []func(context.Context) error{m.group, m.network, m.ownRouter, m.port} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	port, err := m.Get(keyPort)
	if err != nil {
		return err
	}
	if err := c.plug(ctx, m.admin, port, deviceOwner, answer, instance, host); err != nil {
		return err
	}
	return m.floating(ctx)
}

// group makes the security group: pings, and HTTP at one port.
func (m *maker) group(ctx context.Context) error {
	group, err := groups.Create(ctx, m.owner, groups.CreateOpts{Name: m.name("group"), Description: description}).Extract()
	if err := m.keep(ctx, keyGroup, idOf(group, func() string { return group.ID }), err); err != nil {
		return err
	}
	for _, rule := range []rules.CreateOpts{
		{Direction: rules.DirIngress, EtherType: rules.EtherType4, SecGroupID: group.ID, Protocol: rules.ProtocolICMP, Description: description},
		{Direction: rules.DirIngress, EtherType: rules.EtherType4, SecGroupID: group.ID, Protocol: rules.ProtocolTCP, PortRangeMin: openPort, PortRangeMax: openPort},
		{Direction: rules.DirIngress, EtherType: rules.EtherType4, SecGroupID: group.ID, RemoteGroupID: group.ID},
	} {
		if err := rules.Create(ctx, m.owner, rule).Err; err != nil {
			return fmt.Errorf("create a rule in security group %s: %w", group.ID, err)
		}
	}
	return nil
}

func (m *maker) network(ctx context.Context) error {
	network, err := networks.Create(ctx, m.owner, networks.CreateOpts{Name: m.name("network"), Description: description}).Extract()
	if err := m.keep(ctx, keyNetwork, idOf(network, func() string { return network.ID }), err); err != nil {
		return err
	}
	tags := attributestags.ReplaceAllOpts{Tags: []string{"before", "upgrade"}}
	if err := attributestags.ReplaceAll(ctx, m.owner, "networks", network.ID, tags).Err; err != nil {
		return fmt.Errorf("tag network %s: %w", network.ID, err)
	}
	gateway, yes := ownGateway, true
	subnet, err := subnets.Create(ctx, m.owner, subnets.CreateOpts{
		NetworkID: network.ID, Name: m.name("subnet"), Description: description, IPVersion: gophercloud.IPv4, CIDR: ownPrefix,
		GatewayIP: &gateway, EnableDHCP: &yes, DNSNameservers: []string{nameServer},
		AllocationPools: []subnets.AllocationPool{{Start: ownFirst, End: ownLast}},
		HostRoutes:      []subnets.HostRoute{{DestinationCIDR: hostRoute, NextHop: ownGateway}},
	}).Extract()
	return m.keep(ctx, keySubnet, idOf(subnet, func() string { return subnet.ID }), err)
}

func (m *maker) ownRouter(ctx context.Context) error {
	public, err1 := m.Get(keyPublic)
	subnet, err2 := m.Get(keySubnet)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if err := m.router(ctx, keyRouter, "router", public, subnet); err != nil {
		return err
	}
	id, err := m.Get(keyRouter)
	if err != nil {
		return err
	}
	routes := []routers.Route{{DestinationCIDR: routerRoute, NextHop: probeAddress}}
	if err := routers.Update(ctx, m.owner, id, routers.UpdateOpts{Routes: &routes}).Err; err != nil {
		return fmt.Errorf("set a route of router %s: %w", id, err)
	}
	return nil
}

// router makes a router between a subnet and the external network.
func (m *maker) router(ctx context.Context, key, what, public, subnet string) error {
	router, err := routers.Create(ctx, m.owner, routers.CreateOpts{
		Name: m.name(what), Description: description, GatewayInfo: &routers.GatewayInfo{NetworkID: public},
	}).Extract()
	if err := m.keep(ctx, key, idOf(router, func() string { return router.ID }), err); err != nil {
		return err
	}
	if err := routers.AddInterface(ctx, m.owner, router.ID, routers.AddInterfaceOpts{SubnetID: subnet}).Err; err != nil {
		return fmt.Errorf("give router %s an interface in subnet %s: %w", router.ID, subnet, err)
	}
	return nil
}

func (m *maker) port(ctx context.Context) error {
	network, err1 := m.Get(keyNetwork)
	subnet, err2 := m.Get(keySubnet)
	group, err3 := m.Get(keyGroup)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	port, err := ports.Create(ctx, m.owner, ports.CreateOpts{
		NetworkID: network, Name: m.name("port"), Description: description, SecurityGroups: &[]string{group},
		FixedIPs:            []ports.IP{{SubnetID: subnet, IPAddress: probeAddress}},
		AllowedAddressPairs: []ports.AddressPair{{IPAddress: pairAddress}},
	}).Extract()
	return m.keep(ctx, keyPort, idOf(port, func() string { return port.ID }), err)
}

func (m *maker) floating(ctx context.Context) error {
	public, err1 := m.Get(keyPublic)
	port, err2 := m.Get(keyPort)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	floating, err := floatingips.Create(ctx, m.owner, floatingips.CreateOpts{
		FloatingNetworkID: public, PortID: port, Description: description,
	}).Extract()
	if err := m.keep(ctx, keyFloating, idOf(floating, func() string { return floating.ID }), err); err != nil {
		return err
	}
	return m.Save(ctx, map[string]string{keyAddress: floating.FloatingIP, keyWitness: floating.FloatingIP})
}

// bind tells neutron on which host the port is plugged in, as nova does: only
// services may.
func bind(ctx context.Context, admin *gophercloud.ServiceClient, port, owner, instance, host string) error {
	err := ports.Update(ctx, admin, port, portsbinding.UpdateOptsExt{
		UpdateOptsBuilder: ports.UpdateOpts{DeviceID: &instance, DeviceOwner: &owner}, HostID: &host,
	}).Err
	if err != nil {
		return fmt.Errorf("bind port %s to host %s: %w", port, host, err)
	}
	return nil
}

func idOf[T any](object *T, id func() string) string {
	if object == nil {
		return ""
	}
	return id()
}
