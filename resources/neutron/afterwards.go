package neutron

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/rules"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"

	"grenade/resources"
)

// effectWithin is how long agents may take to carry out what the API was told.
const effectWithin = time.Minute

// The network that is made and removed again.
const newPrefix = "192.168.230.0/28"

// afterwards makes use of the upgraded code: what it makes, it removes again, so
// that it can be repeated. view is nil without a node; then nothing carries
// traffic.
func (c *check) afterwards(ctx context.Context, s *session, view *inside) error {
	if err := c.newNetwork(ctx, s, view); err != nil {
		return fmt.Errorf("afterwards, a new network: %w", err)
	}
	if view == nil {
		return nil
	}
	if err := c.newPort(ctx, s, view); err != nil {
		return fmt.Errorf("afterwards, a new port: %w", err)
	}
	return nil
}

// after undoes something whatever became of it, also when time is up.
func after(ctx context.Context, failed *error, undo func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	*failed = errors.Join(*failed, undo(ctx))
}

// newNetwork makes a network, which the DHCP agent serves, and removes it.
func (c *check) newNetwork(ctx context.Context, s *session, view *inside) (err error) {
	name := resources.ResourceName(c.cloud.Tag, c.memory.Section, "new")
	network, err := networks.Create(ctx, s.owner, networks.CreateOpts{Name: name}).Extract()
	if err != nil {
		return fmt.Errorf("create network %s: %w", name, err)
	}
	defer after(ctx, &err, func(ctx context.Context) error {
		if err := deleteNetwork(ctx, s.owner, network.ID); err != nil {
			return err
		}
		if view == nil {
			return nil
		}
		return waitGone(ctx, view.Inside, holdings{networks: []string{network.ID}})
	})
	if _, err := subnets.Create(ctx, s.owner, subnets.CreateOpts{
		NetworkID: network.ID, Name: name, IPVersion: gophercloud.IPv4, CIDR: newPrefix,
	}).Extract(); err != nil {
		return fmt.Errorf("create a subnet of network %s: %w", network.ID, err)
	}
	return s.waitActive(ctx, network.ID, "")
}

// newRule opens a port at which the probe answers in vain, and closes it again.
// Silence, and not a refusal, is how the firewall says no.
func (s *session) newRule(ctx context.Context, group, address, answer string) (err error) {
	if err := s.waitClosed(ctx, address, "before there is a rule"); err != nil {
		return err
	}
	rule, err := s.open(ctx, group, closedPort)
	if err != nil {
		return err
	}
	if err := s.waitAnswer(ctx, address, closedPort, answer); err != nil {
		return err
	}
	remove := func(ctx context.Context) error { return rules.Delete(ctx, s.owner, rule).ExtractErr() }
	if err := resources.Delete(ctx, "security group rule "+rule, remove,
		func(ctx context.Context) error { return rules.Get(ctx, s.owner, rule).Err }); err != nil {
		return err
	}
	return s.waitClosed(ctx, address, "after the rule is gone")
}

// open makes a rule that lets everybody in at a port.
func (s *session) open(ctx context.Context, group string, port int) (rule string, err error) {
	made, err := rules.Create(ctx, s.owner, rules.CreateOpts{
		Direction: rules.DirIngress, EtherType: rules.EtherType4, SecGroupID: group,
		Protocol: rules.ProtocolTCP, PortRangeMin: port, PortRangeMax: port,
	}).Extract()
	if err != nil {
		return "", fmt.Errorf("create a rule in security group %s: %w", group, err)
	}
	return made.ID, nil
}

func (s *session) waitClosed(ctx context.Context, address, when string) error {
	return resources.WaitFor(ctx, resources.Wait{Object: fmt.Sprintf("port %d of %s to be closed %s", closedPort, address, when), Limit: effectWithin},
		func(ctx context.Context) (resources.Progress, error) {
			if err := s.anotherRequest(ctx); err != nil {
				return resources.Progress{}, err
			}
			said, err := fromHost(ctx, address, closedPort)
			return resources.Progress{Done: silent(err), Status: fmt.Sprintf("answer %q, error %v", said, err)}, nil
		})
}

func (s *session) waitAnswer(ctx context.Context, address string, port int, answer string) error {
	return resources.WaitFor(ctx, resources.Wait{Object: fmt.Sprintf("an answer from port %d of %s", port, address), Limit: effectWithin},
		func(ctx context.Context) (resources.Progress, error) {
			if err := s.anotherRequest(ctx); err != nil {
				return resources.Progress{}, err
			}
			said := saidToHost(ctx, address, port)
			return resources.Progress{Done: said == answer, Status: said}, nil
		})
}

// anotherRequest has the API do anything. Until Zed, and longer, what it tells the
// agents of rules is sent by a green thread of its (neutron/plugins/ml2/ovo_rpc.py),
// which under uWSGI runs only while a request is handled: it is sent with the next.
func (s *session) anotherRequest(ctx context.Context) error {
	if err := groups.Get(ctx, s.owner, s.saved[keyGroup]).Err; err != nil {
		return fmt.Errorf("look at security group %s: %w", s.saved[keyGroup], err)
	}
	return nil
}

// newPort puts a second probe beside the first, with a security group and a
// floating IP of its own. The first probe and the world must be within its reach,
// and it within the world's as far as its group says.
func (c *check) newPort(ctx context.Context, s *session, view *inside) (err error) {
	defer after(ctx, &err, func(ctx context.Context) error { return c.removeSecondPort(ctx, s, view) })
	name := resources.ResourceName(c.cloud.Tag, c.memory.Section, "new")
	group, err := groups.Create(ctx, s.owner, groups.CreateOpts{Name: name}).Extract()
	if err != nil {
		return fmt.Errorf("create security group %s: %w", name, err)
	}
	if err := c.memory.Save(ctx, map[string]string{keySecondGroup: group.ID}); err != nil {
		return err
	}
	port, err := ports.Create(ctx, s.owner, ports.CreateOpts{
		NetworkID: s.saved[keyNetwork], Name: name, SecurityGroups: &[]string{group.ID},
	}).Extract()
	if err != nil {
		return fmt.Errorf("create a port on network %s: %w", s.saved[keyNetwork], err)
	}
	if err := c.memory.Save(ctx, map[string]string{keySecondPort: port.ID}); err != nil {
		return err
	}
	answer, err1 := resources.Secret()
	instance, err2 := resources.UUID()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if err := c.plug(ctx, s.admin, port.ID, deviceOwner, answer, instance, s.saved[keyHost]); err != nil {
		return err
	}
	terms, err := lease(ctx, view.Inside, port.ID)
	if err != nil {
		return err
	}
	if len(port.FixedIPs) != 1 || terms["address"] != port.FixedIPs[0].IPAddress {
		return fmt.Errorf("port %s has the addresses %v and leased %v", port.ID, port.FixedIPs, terms["address"])
	}
	for _, address := range []string{probeAddress, s.saved[keyOutside]} {
		if said := until(ctx, answers, func(ctx context.Context) string { return pings(ctx, view.Inside, port.ID, address) }); said != answers {
			return fmt.Errorf("the probe at the new port %s: %s", port.ID, said)
		}
	}
	floating, err := floatingips.Create(ctx, s.owner, floatingips.CreateOpts{FloatingNetworkID: s.saved[keyPublic], PortID: port.ID}).Extract()
	if err != nil {
		return fmt.Errorf("create a floating IP for port %s: %w", port.ID, err)
	}
	if _, err := s.open(ctx, group.ID, openPort); err != nil {
		return err
	}
	// Until it answers here, silence elsewhere would say nothing of the group.
	if err := s.waitAnswer(ctx, floating.FloatingIP, openPort, answer); err != nil {
		return err
	}
	if err := s.newRule(ctx, group.ID, floating.FloatingIP, answer); err != nil {
		return fmt.Errorf("its security group: %w", err)
	}
	return nil
}

// removeSecondPort removes the second probe, if there is one, with its floating
// IPs and its security group, and waits until the node has nothing of them.
func (c *check) removeSecondPort(ctx context.Context, s *session, view *inside) error {
	port, err1 := c.memory.Find(keySecondPort)
	group, err2 := c.memory.Find(keySecondGroup)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if port != "" {
		if err := s.removeProbe(ctx, view, port); err != nil {
			return err
		}
	}
	if group == "" {
		return nil
	}
	if err := deleteGroup(ctx, s.owner, group); err != nil {
		return err
	}
	return c.memory.Save(ctx, map[string]string{keySecondPort: "", keySecondGroup: ""})
}

func (s *session) removeProbe(ctx context.Context, view *inside, port string) error {
	floating, err := list(ctx, s.owner, "floatingips?port_id="+port, "floatingips")
	if err != nil {
		return err
	}
	for _, each := range floating {
		if err := deleteFloating(ctx, s.owner, fmt.Sprint(each["id"])); err != nil {
			return err
		}
		if err := view.waitUnrouted(ctx, fmt.Sprint(each["floating_ip_address"])); err != nil {
			return err
		}
	}
	if err := unplug(ctx, view.Inside, port); err != nil {
		return err
	}
	if err := deletePort(ctx, s.owner, port); err != nil {
		return err
	}
	return waitGone(ctx, view.Inside, holdings{ports: []string{port}})
}

// waitUnrouted waits until the router no longer has a floating IP's address.
func (i *inside) waitUnrouted(ctx context.Context, address string) error {
	namespace := "qrouter-" + i.saved[keyRouter]
	return resources.WaitFor(ctx, resources.Wait{Object: "address " + address + " in namespace " + namespace + " to be gone", Limit: goneWithin},
		func(ctx context.Context) (resources.Progress, error) {
			found, err := i.Lines(ctx, fmt.Sprintf("ip -n %s -oneline address show to %s", namespace, address))
			return resources.Progress{Done: len(found) == 0, Status: strings.Join(found, " ")}, err
		})
}
