package nova

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/attachinterfaces"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"grenade/resources"
	"grenade/resources/guest"
)

// compute returns nova's API in the microversion in which everything is compared.
func (c *check) compute(provider *gophercloud.ProviderClient) (*gophercloud.ServiceClient, error) {
	client, err := c.cloud.Service(provider, "compute", "v2.1")
	if err != nil {
		return nil, err
	}
	client.Microversion = guest.Microversion
	return client, nil
}

func (c *check) network(provider *gophercloud.ProviderClient) (*gophercloud.ServiceClient, error) {
	return c.cloud.Service(provider, "network", "v2.0")
}

// volumes returns the volume API, or nil when the cloud has none.
func (c *check) volumes(provider *gophercloud.ProviderClient) (*gophercloud.ServiceClient, error) {
	client, err := c.cloud.Service(provider, "block-storage", "")
	var absent *gophercloud.ErrEndpointNotFound
	if errors.As(err, &absent) {
		return nil, nil //nolint:nilnil // documented
	}
	return client, err
}

// attachPort makes a port on the guests' network and attaches it to the server.
// It is in no security group: nobody talks to it, and none has to outlive it.
func (c *check) attachPort(ctx context.Context, own *gophercloud.ProviderClient, server, name, key string) error {
	compute, err1 := c.compute(own)
	network, err2 := c.network(own)
	shared, err3 := guest.Network(c.cloud)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	port, err := ports.Create(ctx, network, ports.CreateOpts{NetworkID: shared, Name: name, SecurityGroups: &[]string{}}).Extract()
	if err != nil {
		return fmt.Errorf("create port %s on network %s: %w", name, shared, err)
	}
	if err := c.memory.Save(ctx, map[string]string{key: port.ID}); err != nil {
		return err
	}
	if err := attachinterfaces.Create(ctx, compute, server, attachinterfaces.CreateOpts{PortID: port.ID}).Err; err != nil {
		return fmt.Errorf("attach port %s to server %s: %w", port.ID, server, err)
	}
	return awaitPort(ctx, network, port.ID, ports.Port{DeviceID: server, Status: "ACTIVE"})
}

// detachPort takes the port from the server and waits until neutron has it back.
func (c *check) detachPort(ctx context.Context, own *gophercloud.ProviderClient, server, port string) error {
	compute, err1 := c.compute(own)
	network, err2 := c.network(own)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if err := attachinterfaces.Delete(ctx, compute, server, port).ExtractErr(); err != nil {
		return fmt.Errorf("detach port %s from server %s: %w", port, server, err)
	}
	if err := awaitPort(ctx, network, port, ports.Port{DeviceID: "", Status: "DOWN"}); err != nil {
		return err
	}
	attached, err := resources.Collection(ctx, attachinterfaces.List(compute, server), "interfaceAttachments")
	if err != nil {
		return err
	}
	if slices.ContainsFunc(attached, func(a map[string]any) bool { return a["port_id"] == port }) {
		return fmt.Errorf("port %s was detached, and nova still lists it with server %s", port, server)
	}
	return nil
}

func awaitPort(ctx context.Context, network *gophercloud.ServiceClient, id string, wanted ports.Port) error {
	what := fmt.Sprintf("port %s to be %s at device %q", id, wanted.Status, wanted.DeviceID)
	return resources.WaitFor(ctx, resources.Wait{Object: what, Limit: settleWithin}, func(ctx context.Context) (resources.Progress, error) {
		port, err := ports.Get(ctx, network, id).Extract()
		if err != nil {
			return resources.Progress{}, err //nolint:wrapcheck // WaitFor names the port
		}
		return resources.Progress{
			Status: fmt.Sprintf("%s at device %q", port.Status, port.DeviceID),
			Done:   port.Status == wanted.Status && port.DeviceID == wanted.DeviceID,
			Failed: port.Status == "ERROR", Fault: "neutron tells no more",
		}, nil
	})
}

// attachVolume makes a volume of 1 GiB and attaches it; it returns when the
// guest has it as a disk.
func (c *check) attachVolume(ctx context.Context, own *gophercloud.ProviderClient, api *gophercloud.ServiceClient, server, name, key string) error {
	compute, err := c.compute(own)
	if err != nil {
		return err
	}
	volume, err := volumes.Create(ctx, api, volumes.CreateOpts{Size: 1, Name: name}, nil).Extract()
	if err != nil {
		return fmt.Errorf("create volume %s: %w", name, err)
	}
	if err := c.memory.Save(ctx, map[string]string{key: volume.ID}); err != nil {
		return err
	}
	if err := awaitVolume(ctx, api, volume.ID, "available"); err != nil {
		return err
	}
	if err := volumeattach.Create(ctx, compute, server, volumeattach.CreateOpts{VolumeID: volume.ID}).Err; err != nil {
		return fmt.Errorf("attach volume %s to server %s: %w", volume.ID, server, err)
	}
	if err := awaitVolume(ctx, api, volume.ID, "in-use"); err != nil {
		return err
	}
	return c.awaitDisk(ctx, volume.ID, true)
}

func (c *check) detachVolume(ctx context.Context, own *gophercloud.ProviderClient, api *gophercloud.ServiceClient, server, volume string) error {
	compute, err := c.compute(own)
	if err != nil {
		return err
	}
	if err := volumeattach.Delete(ctx, compute, server, volume).ExtractErr(); err != nil {
		return fmt.Errorf("detach volume %s from server %s: %w", volume, server, err)
	}
	if err := awaitVolume(ctx, api, volume, "available"); err != nil {
		return err
	}
	return c.awaitDisk(ctx, volume, false)
}

func awaitVolume(ctx context.Context, api *gophercloud.ServiceClient, id, status string) error {
	// The first volume of a cloud may wait for its backend to be mounted.
	wait := resources.Wait{Object: "volume " + id + " to be " + status, Limit: 2 * settleWithin}
	return resources.WaitFor(ctx, wait, func(ctx context.Context) (resources.Progress, error) {
		volume, err := volumes.Get(ctx, api, id).Extract()
		if err != nil {
			return resources.Progress{}, err //nolint:wrapcheck // WaitFor names the volume
		}
		failed := volume.Status == "error" || volume.Status == "error_attaching" || volume.Status == "error_detaching"
		return resources.Progress{
			Status: volume.Status, Done: volume.Status == status, Failed: failed, Fault: "cinder keeps the reason in its log and messages",
		}, nil
	})
}

// awaitDisk waits until the guest has the volume as a disk, or has it no more.
func (c *check) awaitDisk(ctx context.Context, volume string, there bool) error {
	what := fmt.Sprintf("the guest to have volume %s as a disk: %t", volume, there)
	return resources.WaitFor(ctx, resources.Wait{Object: what, Limit: settleWithin}, func(ctx context.Context) (resources.Progress, error) {
		state, err := c.answer(ctx)
		if err != nil {
			return resources.Progress{}, err
		}
		_, seen := state.Disk(volume)
		return resources.Progress{Done: seen == there, Status: fmt.Sprintf("disks %v", state.Disks)}, nil
	})
}
