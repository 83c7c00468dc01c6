package nova

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servergroups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"

	"grenade/resources"
)

// Destroy removes everything that create and verify made, from the store alone:
// by id, and by name where create was killed between making a thing and saving
// its id. It acts as administrator: the account may be broken. Nova keeps rows of
// deleted servers, marked deleted; only its operator's "nova-manage db
// archive_deleted_rows" removes those.
func (c *check) Destroy(ctx context.Context) error {
	saved, err := c.memory.All()
	if err != nil {
		return err
	}
	name := saved[keyName]
	if name == "" {
		return nil // create saves the name before it makes anything
	}
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return err
	}
	compute, err := c.compute(provider)
	if err != nil {
		return err
	}
	errs := []error{c.former().Remove(ctx), c.second().Remove(ctx), c.removeExtrasAs(ctx, provider)}
	errs = append(errs, c.guest().Remove(ctx), c.removePort(ctx, provider, name, keyPort), c.removeVolume(ctx, provider, name, keyVolume))
	if server, err := c.guest().ServerID(); err == nil {
		errs = append(errs, c.nothingLeft(ctx, server))
	}
	errs = append(errs, c.removeServerGroup(ctx, compute, name), c.removeKeyPair(ctx, compute, name, saved["owner.user_id"]))
	if id := saved[keyFlavor]; id != "" {
		errs = append(errs, resources.Delete(ctx, "flavor "+id,
			func(ctx context.Context) error { return flavors.Delete(ctx, compute, id).ExtractErr() },
			func(ctx context.Context) error { return flavors.Get(ctx, compute, id).Err }))
	}
	if project := saved["owner.project_id"]; project != "" {
		if err := quotasets.Delete(ctx, compute, project).Err; err != nil && !resources.IsGone(err) {
			errs = append(errs, fmt.Errorf("delete compute quota of project %s: %w", project, err))
		}
	}
	identity, err := c.cloud.Identity(provider)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, c.owner().Remove(ctx, identity))...)
}

// nothingLeft looks that the server is gone from the node, too.
func (c *check) nothingLeft(ctx context.Context, server string) error {
	inside, err := c.inside()
	if resources.IsNotChecked(err) {
		return nil
	}
	if err != nil {
		return err
	}
	left, err := inside.leftOf(ctx, server)
	if err == nil && len(left) > 0 {
		return fmt.Errorf("server %s is deleted, and the node still has: %s", server, strings.Join(left, ", "))
	}
	return err
}

func (c *check) removeServerGroup(ctx context.Context, compute *gophercloud.ServiceClient, name string) error {
	saved, err := c.memory.Find(keyServerGroup)
	if err != nil {
		return err
	}
	list, err := resources.Collection(ctx, servergroups.List(compute, servergroups.ListOpts{AllProjects: true}), "server_groups")
	if err != nil {
		return err
	}
	return deleteNamed(ctx, "server group", name, saved, list,
		func(ctx context.Context, id string) error { return servergroups.Delete(ctx, compute, id).ExtractErr() },
		func(ctx context.Context, id string) error { return servergroups.Get(ctx, compute, id).Err })
}

// removeKeyPair removes it from its user; without a user nobody has it.
func (c *check) removeKeyPair(ctx context.Context, compute *gophercloud.ServiceClient, name, user string) error {
	if user == "" {
		return nil
	}
	escaped := url.PathEscape(name)
	return resources.Delete(ctx, "key pair "+name,
		func(ctx context.Context) error {
			return keypairs.Delete(ctx, compute, escaped, keypairs.DeleteOpts{UserID: user}).ExtractErr()
		},
		func(ctx context.Context) error {
			return keypairs.Get(ctx, compute, escaped, keypairs.GetOpts{UserID: user}).Err
		})
}

// removeExtras removes what afterwards attached to the guest and detached.
func (c *check) removeExtras(ctx context.Context) error {
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return err
	}
	return c.removeExtrasAs(ctx, provider)
}

func (c *check) removeExtrasAs(ctx context.Context, provider *gophercloud.ProviderClient) error {
	name, err := c.memory.Find(keyExtraName)
	if err != nil || name == "" {
		return err
	}
	return errors.Join(c.removePort(ctx, provider, name, keyExtraPort), c.removeVolume(ctx, provider, name, keyExtraVolume))
}

func (c *check) removePort(ctx context.Context, provider *gophercloud.ProviderClient, name, key string) error {
	network, err := c.network(provider)
	if err != nil {
		return err
	}
	saved, err := c.memory.Find(key)
	if err != nil {
		return err
	}
	list, err := resources.Collection(ctx, ports.List(network, ports.ListOpts{Name: name}), "ports")
	if err != nil {
		return err
	}
	return deleteNamed(ctx, "port", name, saved, list,
		func(ctx context.Context, id string) error { return ports.Delete(ctx, network, id).ExtractErr() },
		func(ctx context.Context, id string) error { return ports.Get(ctx, network, id).Err })
}

func (c *check) removeVolume(ctx context.Context, provider *gophercloud.ProviderClient, name, key string) error {
	api, err := c.volumes(provider)
	if err != nil || api == nil {
		return err
	}
	saved, err := c.memory.Find(key)
	if err != nil {
		return err
	}
	list, err := resources.Collection(ctx, volumes.List(api, volumes.ListOpts{AllTenants: true, Name: name}), "volumes")
	if err != nil {
		return err
	}
	return deleteNamed(ctx, "volume", name, saved, list,
		func(ctx context.Context, id string) error { return volumes.Delete(ctx, api, id, nil).ExtractErr() },
		func(ctx context.Context, id string) error {
			volume, err := volumes.Get(ctx, api, id).Extract()
			if err == nil && volume.Status == "error_deleting" {
				return errors.New("cinder gave up: its log has the reason")
			}
			return err //nolint:wrapcheck // Delete names the volume
		})
}

// deleteNamed deletes the saved one and those of the list that have our name.
func deleteNamed(ctx context.Context, what, name, saved string, list []map[string]any, remove, look func(context.Context, string) error) error {
	found := []string{}
	for _, object := range list {
		if object["name"] == name {
			found = append(found, fmt.Sprint(object["id"]))
		}
	}
	var errs []error
	for _, id := range resources.Union(saved, len(found), func(i int) string { return found[i] }) {
		errs = append(errs, resources.Delete(ctx, fmt.Sprintf("%s %s (%s)", what, id, name),
			func(ctx context.Context) error { return remove(ctx, id) },
			func(ctx context.Context) error { return look(ctx, id) }))
	}
	return errors.Join(errs...)
}
