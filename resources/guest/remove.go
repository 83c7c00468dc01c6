package guest

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"grenade/resources"
)

// Remove removes what Make made, also what it had no time to save the id of, and
// makes sure that it is gone. What is gone already is no error. It acts as
// administrator: the account may be broken. The security group "default" that
// neutron gave the account's project goes, too: nobody else removes it.
func (g Guest) Remove(ctx context.Context) error {
	name, err := g.Memory.Find(g.key(keyName))
	if err != nil || name == "" {
		return err // nothing was made before the name was saved
	}
	provider, err := g.Cloud.AsAdmin(ctx)
	if err != nil {
		return err
	}
	api, err := open(g.Cloud, provider)
	if err != nil {
		return err
	}
	var errs []error
	for _, kind := range g.kinds(api, name) {
		errs = append(errs, g.removeAll(ctx, kind, name))
	}
	return errors.Join(append(errs, RemoveDefaultGroup(ctx, api.network, g.Account))...)
}

// kind is one sort of thing that belongs to a guest.
type kind struct {
	what, key string
	// list finds those of the guest's name.
	list   pagination.Pager
	member string // of the list's answer
	remove func(ctx context.Context, id string) error
	look   func(ctx context.Context, id string) error
}

// kinds are in the order in which they can go.
func (g Guest) kinds(api *clients, name string) []kind {
	return []kind{
		{
			"server", keyServer,
			// nova takes the name as a regular expression.
			servers.List(api.compute, servers.ListOpts{AllTenants: true, Name: "^" + regexp.QuoteMeta(name) + "$"}), "servers",
			func(ctx context.Context, id string) error { return servers.Delete(ctx, api.compute, id).ExtractErr() },
			func(ctx context.Context, id string) error { return lookAtDeleted(ctx, api.compute, id) },
		},
		{
			"floating address", keyFloatingIP,
			floatingips.List(api.network, floatingips.ListOpts{Description: name}), "floatingips",
			func(ctx context.Context, id string) error {
				return floatingips.Delete(ctx, api.network, id).ExtractErr()
			},
			func(ctx context.Context, id string) error { return floatingips.Get(ctx, api.network, id).Err },
		},
		{
			"port", keyPort,
			ports.List(api.network, ports.ListOpts{Name: name}), "ports",
			func(ctx context.Context, id string) error { return ports.Delete(ctx, api.network, id).ExtractErr() },
			func(ctx context.Context, id string) error { return ports.Get(ctx, api.network, id).Err },
		},
		{
			"security group", keySecurityGroup,
			groups.List(api.network, groups.ListOpts{Name: name}), "security_groups",
			func(ctx context.Context, id string) error { return groups.Delete(ctx, api.network, id).ExtractErr() },
			func(ctx context.Context, id string) error { return groups.Get(ctx, api.network, id).Err },
		},
	}
}

// removeAll deletes the saved one and those that the list finds.
func (g Guest) removeAll(ctx context.Context, k kind, name string) error {
	saved, err := g.Memory.Find(g.key(k.key))
	if err != nil {
		return err
	}
	found, err := resources.Collection(ctx, k.list, k.member)
	if err != nil {
		return fmt.Errorf("look for %s %s: %w", k.what, name, err)
	}
	var errs []error
	for _, id := range resources.Union(saved, len(found), func(i int) string { return fmt.Sprint(found[i]["id"]) }) {
		errs = append(errs, resources.Delete(ctx, fmt.Sprintf("%s %s (%s)", k.what, id, name),
			func(ctx context.Context) error { return k.remove(ctx, id) },
			func(ctx context.Context) error { return k.look(ctx, id) }))
	}
	return errors.Join(errs...)
}

// lookAtDeleted looks at a server whose deletion nova accepted. One in ERROR
// that nobody works at any more will not go.
func lookAtDeleted(ctx context.Context, compute *gophercloud.ServiceClient, id string) error {
	now, err := look(ctx, compute, id)
	if err == nil && now.status == "ERROR" && now.task == "" {
		return fmt.Errorf("nova gave up: %s", now.fault)
	}
	return err
}

// RemoveDefaultGroup removes the security group that neutron makes by itself for
// a project that asks it for anything, and that outlives the project. The client
// must be the administrator's: nobody else may. A project that was never made has
// none.
func RemoveDefaultGroup(ctx context.Context, network *gophercloud.ServiceClient, account resources.Account) error {
	project, err := account.Memory.Find(account.Name + ".project_id")
	if err != nil || project == "" {
		return err
	}
	// Not by project: neutron makes the group anew for one that it is asked about.
	page, err := groups.List(network, groups.ListOpts{Name: "default"}).AllPages(ctx)
	if err != nil {
		return fmt.Errorf("look for the default security group of project %s: %w", project, err)
	}
	found, err := groups.ExtractGroups(page)
	if err != nil {
		return fmt.Errorf("look for the default security group of project %s: %w", project, err)
	}
	var errs []error
	for _, group := range found {
		if group.ProjectID != project {
			continue
		}
		errs = append(errs, resources.Delete(ctx, "security group "+group.ID+" (default of project "+project+")",
			func(ctx context.Context) error { return groups.Delete(ctx, network, group.ID).ExtractErr() },
			func(ctx context.Context) error { return groups.Get(ctx, network, group.ID).Err }))
	}
	return errors.Join(errs...)
}
