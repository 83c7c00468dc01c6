package keystone

import (
	"context"
	"errors"
	"fmt"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/domains"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"grenade/resources"
)

// Destroy removes everything that create made, from the store alone: by id, and
// by name where create was killed between making a thing and saving its id. The
// application credential goes with its user, assignments with what they bind.
func (c *check) Destroy(ctx context.Context) error {
	saved, err := c.memory.All()
	if err != nil {
		return err
	}
	name := saved[keyName]
	if name == "" {
		return nil // create saves the name before it makes anything
	}
	admin, err := c.admin(ctx)
	if err != nil {
		return err
	}

	page, err := domains.List(admin, domains.ListOpts{Name: name}).AllPages(ctx)
	if err != nil {
		return fmt.Errorf("look for domain %s: %w", name, err)
	}
	foundDomains, err := domains.ExtractDomains(page)
	if err != nil {
		return fmt.Errorf("look for domain %s: %w", name, err)
	}
	var errs []error
	for _, domain := range resources.Union(saved[keyDomain], len(foundDomains), func(i int) string { return foundDomains[i].ID }) {
		errs = append(errs, destroyDomain(ctx, admin, domain, saved))
	}

	page, err = roles.List(admin, roles.ListOpts{Name: name}).AllPages(ctx)
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("look for role %s: %w", name, err))...)
	}
	foundRoles, err := roles.ExtractRoles(page)
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("look for role %s: %w", name, err))...)
	}
	for _, role := range resources.Union(saved[keyRole], len(foundRoles), func(i int) string { return foundRoles[i].ID }) {
		errs = append(errs, resources.Delete(ctx, "role "+role+" ("+name+")",
			func(ctx context.Context) error { return roles.Delete(ctx, admin, role).ExtractErr() },
			isListed(roles.List(admin, roles.ListOpts{}), "roles", role)))
	}
	return errors.Join(errs...)
}

// destroyDomain removes a domain. Keystone refuses to delete an enabled one,
// and takes everything in a disabled one with it; the saved objects are deleted
// one by one all the same, so that one which does not go is named.
func destroyDomain(ctx context.Context, admin *gophercloud.ServiceClient, domain string, saved map[string]string) error {
	var errs []error
	if id := saved[keyUser]; id != "" {
		errs = append(errs, resources.Delete(ctx, "user "+id,
			func(ctx context.Context) error { return users.Delete(ctx, admin, id).ExtractErr() },
			isListed(users.List(admin, users.ListOpts{DomainID: domain}), "users", id)))
	}
	if id := saved[keyGroup]; id != "" {
		errs = append(errs, resources.Delete(ctx, "group "+id,
			func(ctx context.Context) error { return groups.Delete(ctx, admin, id).ExtractErr() },
			isListed(groups.List(admin, groups.ListOpts{DomainID: domain}), "groups", id)))
	}
	if id := saved[keyProject]; id != "" {
		errs = append(errs, resources.Delete(ctx, "project "+id,
			func(ctx context.Context) error { return projects.Delete(ctx, admin, id).ExtractErr() },
			isListed(projects.List(admin, projects.ListOpts{DomainID: domain}), "projects", id)))
	}
	off := false
	if err := domains.Update(ctx, admin, domain, domains.UpdateOpts{Enabled: &off}).Err; err != nil && !resources.IsGone(err) {
		errs = append(errs, fmt.Errorf("disable domain %s: %w", domain, err))
	}
	errs = append(errs, resources.Delete(ctx, "domain "+domain,
		func(ctx context.Context) error { return domains.Delete(ctx, admin, domain).ExtractErr() },
		isListed(domains.List(admin, domains.ListOpts{}), "domains", domain)))
	return errors.Join(errs...)
}

// isListed looks for an object in a list, for the reason that objects gives.
func isListed(pager pagination.Pager, member, id string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := resources.Listed(ctx, pager, member, id)
		return err
	}
}
