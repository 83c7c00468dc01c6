// Package guest makes a virtual machine that can testify: one that boots the
// cloud's guest image and answers over HTTP with its boot id, its uptime and
// what is on its disks. Checks ask it on its floating address, with every API
// down if need be, what became of it and of its disks.
package guest

import (
	"context"
	"fmt"

	"grenade/resources"
)

// Guest is one such machine. Everything about it is in the check's memory under
// "<Name>.…"; a value of this type holds nothing and may be made anew.
type Guest struct {
	Cloud  resources.Cloud
	Memory *resources.Memory
	// Account owns it; it must have been made.
	Account resources.Account
	// Name tells two guests of one check apart: "guest".
	Name string
}

// Options says how a guest differs from an ordinary one. The zero value boots
// the cloud's guest image with its guest flavor.
type Options struct {
	// BootVolume is the id of a volume to boot from; "" boots from the image.
	// The volume outlives the guest.
	BootVolume string
	// Flavor is a flavor's name or id; "" is the cloud's GuestFlavor.
	Flavor string
	// KeyName is one of the account's key pairs.
	KeyName string
	// ServerGroup is the id of one of the account's server groups.
	ServerGroup string
	Metadata    map[string]string
	Tags        []string
}

// The keys under which a guest keeps what it needs later, after "<Name>.".
const (
	keyName          = "name"
	keySecurityGroup = "security_group_id"
	keyPort          = "port_id"
	keyFloatingIP    = "floating_ip_id"
	keyAddress       = "address" // the floating one
	keyServer        = "server_id"
)

// The shared network, which neutron's native check makes early.
const (
	networkProject = "neutron"
	keyNetwork     = "shared.network_id"
)

func (g Guest) key(what string) string { return g.Name + "." + what }

func (g Guest) get(what string) (string, error) { return g.Memory.Get(g.key(what)) }

// ServerID returns the saved id.
func (g Guest) ServerID() (string, error) { return g.get(keyServer) }

// PortID returns the saved id of the guest's port on the shared network.
func (g Guest) PortID() (string, error) { return g.get(keyPort) }

// FloatingIPID returns the saved id of the guest's floating address.
func (g Guest) FloatingIPID() (string, error) { return g.get(keyFloatingIP) }

// SecurityGroupID returns the saved id of the group that lets ICMP and HTTP in.
func (g Guest) SecurityGroupID() (string, error) { return g.get(keySecurityGroup) }

// Responder returns the way to talk to the guest.
func (g Guest) Responder() (Responder, error) {
	address, err := g.get(keyAddress)
	return Responder{Address: address}, err
}

// Witness names the guest's address as one that must answer pings from outside
// all through the upgrade.
func (g Guest) Witness(ctx context.Context) error {
	address, err := g.get(keyAddress)
	if err != nil {
		return err
	}
	return g.Memory.Save(ctx, map[string]string{"witness_" + g.Name: address})
}

// Network returns the id of the network that guests are on.
func Network(cloud resources.Cloud) (string, error) {
	id, err := cloud.Memory(networkProject).Get(keyNetwork)
	if err != nil {
		return "", fmt.Errorf("the network for guests, which early_create of neutron's native check makes: %w", err)
	}
	return id, nil
}
