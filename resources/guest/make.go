package guest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/rules"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"grenade/resources"
)

// Microversion is the one in which guests are made and looked at: the highest of
// Zed, which every later release still has (nova, REST API version history).
const Microversion = "2.93"

const (
	// activeWithin bounds nova's part. The first guest of a cloud waits for the
	// image to be copied, and under emulation everything takes its time.
	activeWithin = 4 * time.Minute
	// answersWithin bounds what follows: boot, lease, floating address.
	answersWithin = 4 * time.Minute
)

// clients are the account's APIs, logged in afresh.
type clients struct {
	compute, network, image *gophercloud.ServiceClient
}

func open(cloud resources.Cloud, provider *gophercloud.ProviderClient) (*clients, error) {
	var c clients
	var err1, err2, err3 error
	c.compute, err1 = cloud.Service(provider, "compute", "v2.1")
	c.network, err2 = cloud.Service(provider, "network", "v2.0")
	c.image, err3 = cloud.Service(provider, "image", "v2")
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	c.compute.Microversion = Microversion
	return &c, nil
}

// Make makes the guest and everything that belongs to it: a security group that
// lets ICMP and HTTP in, a port on the shared network, a floating address, the
// server. Its name is saved before anything is made and each id right after, so
// that Remove finds everything whatever happens. Make ends when the guest
// answers on its floating address; a server in ERROR ends it at once with nova's
// fault.
func (g Guest) Make(ctx context.Context, options Options) error {
	if g.Cloud.Tag == "" {
		return resources.ErrNoTag
	}
	network, err := Network(g.Cloud)
	if err != nil {
		return err
	}
	provider, err := g.Account.Login(ctx)
	if err != nil {
		return err
	}
	api, err := open(g.Cloud, provider)
	if err != nil {
		return err
	}
	name := resources.ResourceName(g.Cloud.Tag, g.Memory.Section, g.Name)
	if err := g.save(ctx, keyName, name); err != nil {
		return err
	}
	group, err := g.makeGroup(ctx, api.network, name)
	if err != nil {
		return err
	}
	port, err := g.makePort(ctx, api.network, name, network, group)
	if err != nil {
		return err
	}
	if err := g.makeFloatingIP(ctx, api.network, name, port); err != nil {
		return err
	}
	began := time.Now()
	if err := g.makeServer(ctx, api, name, []servers.Network{{Port: port}}, options); err != nil {
		return err
	}
	active := time.Since(began)
	if err := g.AwaitAnswer(ctx, api.compute); err != nil {
		return err
	}
	g.Memory.Log.Infof("guest %s is active after %s and answers after %s", name,
		active.Round(100*time.Millisecond), time.Since(began).Round(100*time.Millisecond))
	return nil
}

// MakeAndRemove makes a server without a network and removes it as soon as nova
// says that it runs. Its id stays saved: what is left of it is what nova remembers
// of a deleted server.
func (g Guest) MakeAndRemove(ctx context.Context) error {
	if g.Cloud.Tag == "" {
		return resources.ErrNoTag
	}
	provider, err := g.Account.Login(ctx)
	if err != nil {
		return err
	}
	api, err := open(g.Cloud, provider)
	if err != nil {
		return err
	}
	name := resources.ResourceName(g.Cloud.Tag, g.Memory.Section, g.Name)
	if err := g.save(ctx, keyName, name); err != nil {
		return err
	}
	if err := g.makeServer(ctx, api, name, "none", Options{}); err != nil {
		return err
	}
	return g.Remove(ctx)
}

func (g Guest) save(ctx context.Context, what, value string) error {
	return g.Memory.Save(ctx, map[string]string{g.key(what): value})
}

func (g Guest) makeGroup(ctx context.Context, network *gophercloud.ServiceClient, name string) (string, error) {
	group, err := groups.Create(ctx, network, groups.CreateOpts{Name: name, Description: "lets ICMP and HTTP in"}).Extract()
	if err != nil {
		return "", fmt.Errorf("create security group %s: %w", name, err)
	}
	if err := g.save(ctx, keySecurityGroup, group.ID); err != nil {
		return "", err
	}
	opened := []rules.CreateOpts{
		{SecGroupID: group.ID, Direction: rules.DirIngress, EtherType: rules.EtherType4, Protocol: rules.ProtocolICMP},
		{SecGroupID: group.ID, Direction: rules.DirIngress, EtherType: rules.EtherType4, Protocol: rules.ProtocolTCP, PortRangeMin: 80, PortRangeMax: 80},
	}
	if err := rules.CreateBulk(ctx, network, opened).Err; err != nil {
		return "", fmt.Errorf("add rules to security group %s (%s): %w", group.ID, name, err)
	}
	return group.ID, nil
}

func (g Guest) makePort(ctx context.Context, network *gophercloud.ServiceClient, name, networkID, group string) (string, error) {
	port, err := ports.Create(ctx, network, ports.CreateOpts{
		NetworkID: networkID, Name: name, SecurityGroups: &[]string{group},
	}).Extract()
	if err != nil {
		return "", fmt.Errorf("create port %s on network %s: %w", name, networkID, err)
	}
	return port.ID, g.save(ctx, keyPort, port.ID)
}

func (g Guest) makeFloatingIP(ctx context.Context, network *gophercloud.ServiceClient, name, port string) error {
	public, err := publicNetwork(ctx, network, g.Cloud.PublicNetworkName())
	if err != nil {
		return err
	}
	// It has no name; its description is what Remove looks for.
	floating, err := floatingips.Create(ctx, network, floatingips.CreateOpts{
		FloatingNetworkID: public, PortID: port, Description: name,
	}).Extract()
	if err != nil {
		return fmt.Errorf("create floating address on network %s for port %s: %w", public, port, err)
	}
	return g.Memory.Save(ctx, map[string]string{g.key(keyFloatingIP): floating.ID, g.key(keyAddress): floating.FloatingIP})
}

func publicNetwork(ctx context.Context, network *gophercloud.ServiceClient, name string) (string, error) {
	page, err := networks.List(network, networks.ListOpts{Name: name}).AllPages(ctx)
	if err != nil {
		return "", fmt.Errorf("look for the external network %s: %w", name, err)
	}
	found, err := networks.ExtractNetworks(page)
	if err != nil {
		return "", fmt.Errorf("look for the external network %s: %w", name, err)
	}
	if len(found) != 1 {
		return "", fmt.Errorf("look for the external network %s: the cloud has %d of that name", name, len(found))
	}
	return found[0].ID, nil
}

// makeServer takes the networks as servers.CreateOpts does.
func (g Guest) makeServer(ctx context.Context, api *clients, name string, networks any, options Options) error {
	flavor, err := flavorID(ctx, api.compute, options.Flavor, g.Cloud.GuestFlavorName())
	if err != nil {
		return err
	}
	create := servers.CreateOpts{
		Name: name, FlavorRef: flavor, Networks: networks,
		Metadata: options.Metadata, Tags: options.Tags,
	}
	if options.BootVolume == "" {
		if create.ImageRef, err = imageID(ctx, api.image, g.Cloud.GuestImageName()); err != nil {
			return err
		}
	} else {
		create.BlockDevice = []servers.BlockDevice{{
			SourceType: servers.SourceVolume, UUID: options.BootVolume, DestinationType: servers.DestinationVolume,
		}}
	}
	var hints servers.SchedulerHintOptsBuilder
	if options.ServerGroup != "" {
		hints = servers.SchedulerHintOpts{Group: options.ServerGroup}
	}
	server, err := servers.Create(ctx, api.compute, withKey{create, options.KeyName}, hints).Extract()
	if err != nil {
		return fmt.Errorf("create server %s: %w", name, err)
	}
	if err := g.save(ctx, keyServer, server.ID); err != nil {
		return err
	}
	return AwaitStatus(ctx, api.compute, server.ID, "ACTIVE")
}

// withKey adds the key pair's name, which CreateOpts does not have.
type withKey struct {
	servers.CreateOpts
	keyName string
}

// ToServerCreateMap implements servers.CreateOptsBuilder.
func (w withKey) ToServerCreateMap() (map[string]any, error) {
	body, err := w.CreateOpts.ToServerCreateMap()
	if err != nil || w.keyName == "" {
		return body, err //nolint:wrapcheck // the caller names the server
	}
	server, ok := body["server"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("body of the request: server is %T", body["server"])
	}
	server["key_name"] = w.keyName
	return body, nil
}

// flavorID finds a flavor by name or id.
func flavorID(ctx context.Context, compute *gophercloud.ServiceClient, wanted, fallback string) (string, error) {
	if wanted == "" {
		wanted = fallback
	}
	page, err := flavors.ListDetail(compute, flavors.ListOpts{AccessType: flavors.AllAccess}).AllPages(ctx)
	if err != nil {
		return "", fmt.Errorf("look for flavor %s: %w", wanted, err)
	}
	found, err := flavors.ExtractFlavors(page)
	if err != nil {
		return "", fmt.Errorf("look for flavor %s: %w", wanted, err)
	}
	names := []string{}
	for _, flavor := range found {
		if flavor.Name == wanted || flavor.ID == wanted {
			return flavor.ID, nil
		}
		names = append(names, flavor.Name)
	}
	return "", fmt.Errorf("there is no flavor %s; the account sees: %s", wanted, strings.Join(names, ", "))
}

func imageID(ctx context.Context, image *gophercloud.ServiceClient, name string) (string, error) {
	page, err := images.List(image, images.ListOpts{Name: name}).AllPages(ctx)
	if err != nil {
		return "", fmt.Errorf("look for image %s: %w", name, err)
	}
	found, err := images.ExtractImages(page)
	if err != nil {
		return "", fmt.Errorf("look for image %s: %w", name, err)
	}
	if len(found) != 1 {
		return "", fmt.Errorf("look for image %s: the account sees %d of that name", name, len(found))
	}
	return found[0].ID, nil
}
