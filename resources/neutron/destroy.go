package neutron

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/routers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/quotas"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"grenade/resources"
)

// goneWithin is how long agents may take to remove from the node what the API
// has let go.
const goneWithin = time.Minute

// holdings are the ids of what a project has, or had, that shows on the node.
type holdings struct {
	networks, routers, ports []string
}

// destroyAccount removes everything that one of the accounts has, from the store
// alone: it lists what is in the account's project, so that nothing is missed
// that create had no time to save the id of. It acts as administrator: the
// account may be broken.
func (c *check) destroyAccount(ctx context.Context, account resources.Account) error {
	saved, err := c.memory.All()
	if err != nil {
		return err
	}
	if saved[account.Name+".name"] == "" {
		return nil // nothing was made before the name was saved
	}
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return err
	}
	identity, err := c.cloud.Identity(provider)
	if err != nil {
		return err
	}
	// Without a project there was no user, and without a user nothing else.
	if project := saved[account.Name+".project_id"]; project != "" {
		admin, err := c.service(provider)
		if err != nil {
			return err
		}
		if err := c.clear(ctx, admin, project, savedHoldings(account.Name, saved)); err != nil {
			return err // the account stays: what is left can be found through it
		}
	}
	return account.Remove(ctx, identity)
}

// clear removes a project's holdings, in the order in which they depend on each
// other, from neutron and from the node.
func (c *check) clear(ctx context.Context, admin *gophercloud.ServiceClient, project string, saved holdings) error {
	view, err := c.cloud.Inside()
	if err != nil && !resources.IsNotChecked(err) {
		return err
	}
	held, err := holdingsOf(ctx, admin, project, saved)
	if err != nil {
		return err
	}
	if view != nil {
		for _, port := range held.ports {
			if err := unplug(ctx, view, port); err != nil {
				return err
			}
		}
	}
	if err := Clear(ctx, admin, project); err != nil {
		return err
	}
	if view != nil {
		if err := waitGone(ctx, view, held); err != nil {
			return err
		}
	}
	// A DHCP agent that was at work on a network when that went makes neutron give
	// the project another default group.
	return Clear(ctx, admin, project)
}

// savedHoldings are those whose ids create has saved. They may be gone already.
func savedHoldings(account string, saved map[string]string) holdings {
	held := holdings{networks: []string{saved[keyNetwork]}, routers: []string{saved[keyRouter]}, ports: []string{saved[keyPort], saved[keySecondPort]}}
	if account == sharerName {
		held = holdings{networks: []string{saved[keySharedNetwork]}, routers: []string{saved[keySharedRouter]}}
	}
	for _, ids := range []*[]string{&held.networks, &held.routers, &held.ports} {
		*ids = slices.DeleteFunc(*ids, func(id string) bool { return id == "" })
	}
	return held
}

// holdingsOf lists what a project has now, beside what is known of it.
func holdingsOf(ctx context.Context, admin *gophercloud.ServiceClient, project string, held holdings) (holdings, error) {
	for _, kind := range []struct {
		name string
		ids  *[]string
	}{{"networks", &held.networks}, {"routers", &held.routers}, {"ports", &held.ports}} {
		found, err := list(ctx, admin, kind.name+"?project_id="+project, kind.name)
		if err != nil {
			return held, err
		}
		for _, object := range found {
			if id := fmt.Sprint(object["id"]); !slices.Contains(*kind.ids, id) {
				*kind.ids = append(*kind.ids, id)
			}
		}
	}
	for _, network := range held.networks {
		// The ports of agents belong to no project, or to the network's.
		found, err := list(ctx, admin, "ports?network_id="+network, "ports")
		if err != nil {
			return held, err
		}
		for _, object := range found {
			if id := fmt.Sprint(object["id"]); !slices.Contains(held.ports, id) {
				held.ports = append(held.ports, id)
			}
		}
	}
	return held, nil
}

// Clear removes everything that a project has in neutron and looks that it is
// gone: floating IPs, routers, ports, networks with their subnets, security
// groups, the one that neutron makes for every project included, and the
// project's quota. admin is neutron's API, version 2.0, as administrator. A
// network that somebody else's port is on is an error that names the port. A
// project that has nothing is none.
func Clear(ctx context.Context, admin *gophercloud.ServiceClient, project string) error {
	for _, step := range []struct {
		path, member string
		remove       func(context.Context, *gophercloud.ServiceClient, string) error
	}{
		{"floatingips?project_id=" + project, "floatingips", deleteFloating},
		{"routers?project_id=" + project, "routers", deleteRouter},
		{"ports?project_id=" + project, "ports", deleteOwnPort},
		{"networks?project_id=" + project, "networks", deleteNetwork},
		// Asked for one project's, neutron would first make the default one.
		{"security-groups", "security_groups", deleteGroup},
	} {
		found, err := list(ctx, admin, step.path, step.member)
		if err != nil {
			return err
		}
		for _, object := range found {
			if object["project_id"] != project {
				continue
			}
			if err := step.remove(ctx, admin, fmt.Sprint(object["id"])); err != nil {
				return err
			}
		}
	}
	if err := quotas.Delete(ctx, admin, project).ExtractErr(); err != nil && !resources.IsGone(err) {
		return fmt.Errorf("reset the quota of project %s: %w", project, err)
	}
	return nil
}

func deleteFloating(ctx context.Context, client *gophercloud.ServiceClient, id string) error {
	return resources.Delete(ctx, "floating IP "+id,
		func(ctx context.Context) error { return floatingips.Delete(ctx, client, id).ExtractErr() },
		func(ctx context.Context) error { return floatingips.Get(ctx, client, id).Err })
}

// deleteRouter takes the router's routes and interfaces from it first: neutron
// deletes no router that leads somewhere.
func deleteRouter(ctx context.Context, client *gophercloud.ServiceClient, id string) error {
	if err := routers.Update(ctx, client, id, routers.UpdateOpts{Routes: &[]routers.Route{}}).Err; err != nil && !resources.IsGone(err) {
		return fmt.Errorf("take the routes from router %s: %w", id, err)
	}
	interfaces, err := list(ctx, client, "ports?device_owner=network:router_interface&device_id="+id, "ports")
	if err != nil {
		return err
	}
	for _, port := range interfaces {
		port := fmt.Sprint(port["id"])
		if err := routers.RemoveInterface(ctx, client, id, routers.RemoveInterfaceOpts{PortID: port}).Err; err != nil && !resources.IsGone(err) {
			return fmt.Errorf("take interface %s from router %s: %w", port, id, err)
		}
	}
	return resources.Delete(ctx, "router "+id,
		func(ctx context.Context) error { return routers.Delete(ctx, client, id).ExtractErr() },
		func(ctx context.Context) error { return routers.Get(ctx, client, id).Err })
}

// deleteOwnPort leaves alone what goes with its network.
func deleteOwnPort(ctx context.Context, client *gophercloud.ServiceClient, id string) error {
	port, err := ports.Get(ctx, client, id).Extract()
	if resources.IsGone(err) || err == nil && strings.HasPrefix(port.DeviceOwner, "network:") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at port %s: %w", id, err)
	}
	return deletePort(ctx, client, id)
}

func deletePort(ctx context.Context, client *gophercloud.ServiceClient, id string) error {
	return resources.Delete(ctx, "port "+id,
		func(ctx context.Context) error { return ports.Delete(ctx, client, id).ExtractErr() },
		func(ctx context.Context) error { return ports.Get(ctx, client, id).Err })
}

func deleteNetwork(ctx context.Context, client *gophercloud.ServiceClient, id string) error {
	return resources.Delete(ctx, "network "+id,
		func(ctx context.Context) error {
			err := networks.Delete(ctx, client, id).ExtractErr()
			if !gophercloud.ResponseCodeIs(err, http.StatusConflict) {
				return err //nolint:wrapcheck // Delete names the network
			}
			left, listErr := foreignPorts(ctx, client, id)
			if listErr != nil || len(left) > 0 {
				return errors.Join(fmt.Errorf("still in use by %s: %w", strings.Join(left, ", "), err), listErr)
			}
			// An agent was about to do something to it.
			return networks.Delete(ctx, client, id).ExtractErr()
		},
		func(ctx context.Context) error { return networks.Get(ctx, client, id).Err })
}

// foreignPorts describes the ports of a network that do not go with it.
func foreignPorts(ctx context.Context, client *gophercloud.ServiceClient, network string) ([]string, error) {
	found, err := list(ctx, client, "ports?network_id="+network, "ports")
	if err != nil {
		return nil, err
	}
	var left []string
	for _, port := range found {
		if port["device_owner"] != "network:dhcp" {
			left = append(left, fmt.Sprintf("port %v (%v) of %v %v, project %v",
				port["id"], port["name"], port["device_owner"], port["device_id"], port["project_id"]))
		}
	}
	return left, nil
}

func deleteGroup(ctx context.Context, client *gophercloud.ServiceClient, id string) error {
	return resources.Delete(ctx, "security group "+id,
		func(ctx context.Context) error { return groups.Delete(ctx, client, id).ExtractErr() },
		func(ctx context.Context) error { return groups.Get(ctx, client, id).Err })
}

// waitGone waits until the node has no namespace and no Open vSwitch port of
// what a project had.
func waitGone(ctx context.Context, inside *resources.Inside, held holdings) error {
	return resources.WaitFor(ctx, resources.Wait{Object: "what neutron made on the node to be gone", Limit: goneWithin},
		func(ctx context.Context) (resources.Progress, error) {
			left, err := held.left(ctx, inside)
			if err != nil {
				return resources.Progress{}, err
			}
			return resources.Progress{Done: len(left) == 0, Status: strings.Join(left, ", ")}, nil
		})
}

// left names what of it is still on the node.
func (h holdings) left(ctx context.Context, inside *resources.Inside) ([]string, error) {
	namespaces, err := inside.Lines(ctx, "ip netns list")
	if err != nil {
		return nil, fmt.Errorf("list the network namespaces: %w", err)
	}
	// One line for each interface: the port's id.
	wired, err := inside.Lines(ctx, `ovs-vsctl --timeout=30 --bare --columns=external_ids list Interface | sed -n 's/.*iface-id="\?\([0-9a-f-]*\).*/\1/p'`)
	if err != nil {
		return nil, fmt.Errorf("list the ports of Open vSwitch: %w", err)
	}
	return h.among(namespaces, wired), nil
}

// among says what of it is in a list of namespaces, as ip prints it, and in a
// list of ids of wired ports.
func (h holdings) among(namespaces, wired []string) []string {
	var left []string
	for _, line := range namespaces {
		name, _, _ := strings.Cut(line, " ") // ip adds "(id: 3)"
		prefix, id, _ := strings.Cut(name, "-")
		ids := map[string][]string{"qdhcp": h.networks, "qrouter": h.routers, "snat": h.routers, "probe": h.ports}[prefix]
		if slices.Contains(ids, id) {
			left = append(left, "namespace "+name)
		}
	}
	for _, port := range wired {
		if slices.Contains(h.ports, port) {
			left = append(left, "Open vSwitch port of "+port)
		}
	}
	return left
}
