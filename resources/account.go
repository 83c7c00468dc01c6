package resources

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"
)

// Account is a project of its own with one ordinary user, the role "member" on
// it, for checks that need not be the administrator. Everything about it is in
// the check's memory under "<Name>.…".
type Account struct {
	Cloud  Cloud
	Memory *Memory
	// Name tells two accounts of one check apart: "owner".
	Name string
}

// memberRole is what keystone's bootstrap makes for ordinary users.
const memberRole = "member"

// defaultDomain is the id of the domain that keystone's bootstrap makes.
const defaultDomain = "default"

func (a Account) key(what string) string { return a.Name + "." + what }

// Make creates the account. Names and the password are saved before anything is
// made, ids right after, so that Remove finds everything whatever happens.
func (a Account) Make(ctx context.Context, identity *gophercloud.ServiceClient) error {
	password, err := Secret()
	if err != nil {
		return err
	}
	name := ResourceName(a.Cloud.Tag, a.Memory.Section, a.Name)
	if err := a.Memory.Save(ctx, map[string]string{a.key("name"): name, a.key("password"): password}); err != nil {
		return err
	}
	project, err := projects.Create(ctx, identity, projects.CreateOpts{
		Name: name, DomainID: defaultDomain, Description: "survival test, run " + a.Cloud.Tag,
	}).Extract()
	if err != nil {
		return fmt.Errorf("create project %s: %w", name, err)
	}
	if err := a.Memory.Save(ctx, map[string]string{a.key("project_id"): project.ID}); err != nil {
		return err
	}
	user, err := users.Create(ctx, identity, users.CreateOpts{
		Name: name, DomainID: defaultDomain, Password: password, DefaultProjectID: project.ID,
	}).Extract()
	if err != nil {
		return fmt.Errorf("create user %s: %w", name, err)
	}
	if err := a.Memory.Save(ctx, map[string]string{a.key("user_id"): user.ID}); err != nil {
		return err
	}
	role, err := roleID(ctx, identity, memberRole)
	if err != nil {
		return err
	}
	if err := roles.Assign(ctx, identity, role, roles.AssignOpts{UserID: user.ID, ProjectID: project.ID}).ExtractErr(); err != nil {
		return fmt.Errorf("give user %s the role %s: %w", name, memberRole, err)
	}
	return nil
}

func roleID(ctx context.Context, identity *gophercloud.ServiceClient, name string) (string, error) {
	found, err := rolesNamed(ctx, identity, name)
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("look for role %s: the cloud has %d of that name", name, len(found))
	}
	return found[0].ID, nil
}

func rolesNamed(ctx context.Context, identity *gophercloud.ServiceClient, name string) ([]roles.Role, error) {
	page, err := roles.List(identity, roles.ListOpts{Name: name}).AllPages(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for role %s: %w", name, err)
	}
	found, err := roles.ExtractRoles(page)
	if err != nil {
		return nil, fmt.Errorf("look for role %s: %w", name, err)
	}
	return found, nil
}

// ProjectID returns the saved id.
func (a Account) ProjectID() (string, error) { return a.Memory.Get(a.key("project_id")) }

// UserID returns the saved id.
func (a Account) UserID() (string, error) { return a.Memory.Get(a.key("user_id")) }

// Login logs the account's user in, scoped to its project.
func (a Account) Login(ctx context.Context) (*gophercloud.ProviderClient, error) {
	user, err1 := a.UserID()
	project, err2 := a.ProjectID()
	password, err3 := a.Memory.Get(a.key("password"))
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	provider, err := a.Cloud.Login(ctx, gophercloud.AuthOptions{
		UserID: user, Password: password, Scope: &gophercloud.AuthScope{ProjectID: project},
	})
	if err != nil {
		return nil, fmt.Errorf("log in as the check's own user %s (%s): %w", a.Name, user, err)
	}
	return provider, nil
}

// Enter logs the administrator in to the account's project, for a service that
// knows no administrator of all projects: he gives himself the role that the
// account's own user has, who may have lost it, and those of more that the cloud
// has. The roles go with the project. A project that is gone is an error for which
// IsGone holds.
func (a Account) Enter(ctx context.Context, identity *gophercloud.ServiceClient, more ...string) (*gophercloud.ProviderClient, error) {
	project, err := a.ProjectID()
	if err != nil {
		return nil, err
	}
	result, ok := identity.GetAuthResult().(tokens.CreateResult)
	if !ok {
		return nil, fmt.Errorf("who the administrator is: %T is no token of the Identity API", identity.GetAuthResult())
	}
	user, err := result.ExtractUser()
	if err != nil {
		return nil, fmt.Errorf("who the administrator is: %w", err)
	}
	role, err := roleID(ctx, identity, memberRole)
	if err != nil {
		return nil, err
	}
	given := []string{role}
	for _, name := range more {
		found, err := rolesNamed(ctx, identity, name)
		if err != nil {
			return nil, err
		}
		for _, role := range found {
			given = append(given, role.ID)
		}
	}
	for _, role := range given {
		if err := roles.Assign(ctx, identity, role, roles.AssignOpts{UserID: user.ID, ProjectID: project}).ExtractErr(); err != nil {
			return nil, fmt.Errorf("give the administrator role %s in project %s (%s): %w", role, project, a.Name, err)
		}
	}
	provider, err := a.Cloud.Login(ctx, gophercloud.AuthOptions{
		UserID: user.ID, Password: a.Cloud.Admin.Password, Scope: &gophercloud.AuthScope{ProjectID: project},
	})
	if err != nil {
		return nil, fmt.Errorf("log in to project %s (%s) as administrator: %w", project, a.Name, err)
	}
	return provider, nil
}

// Remove deletes what Make made, also what it had no time to save the id of.
func (a Account) Remove(ctx context.Context, identity *gophercloud.ServiceClient) error {
	name, err := a.Memory.Find(a.key("name"))
	if err != nil || name == "" {
		return err // nothing was made before the name was saved
	}
	var errs []error
	page, err := users.List(identity, users.ListOpts{Name: name, DomainID: defaultDomain}).AllPages(ctx)
	if err != nil {
		return fmt.Errorf("look for user %s: %w", name, err)
	}
	foundUsers, err := users.ExtractUsers(page)
	if err != nil {
		return fmt.Errorf("look for user %s: %w", name, err)
	}
	ids, err := a.ids("user_id", len(foundUsers), func(i int) string { return foundUsers[i].ID })
	if err != nil {
		return err
	}
	for _, id := range ids {
		errs = append(errs, Delete(ctx, "user "+id+" ("+name+")",
			func(ctx context.Context) error { return users.Delete(ctx, identity, id).ExtractErr() },
			func(ctx context.Context) error {
				// Not a GET of the one: keystone may answer that from its cache.
				_, err := Listed(ctx, users.List(identity, users.ListOpts{DomainID: defaultDomain}), "users", id)
				return err
			}))
	}
	page, err = projects.List(identity, projects.ListOpts{Name: name, DomainID: defaultDomain}).AllPages(ctx)
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("look for project %s: %w", name, err))...)
	}
	foundProjects, err := projects.ExtractProjects(page)
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("look for project %s: %w", name, err))...)
	}
	ids, err = a.ids("project_id", len(foundProjects), func(i int) string { return foundProjects[i].ID })
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, id := range ids {
		errs = append(errs, Delete(ctx, "project "+id+" ("+name+")",
			func(ctx context.Context) error { return projects.Delete(ctx, identity, id).ExtractErr() },
			func(ctx context.Context) error {
				_, err := Listed(ctx, projects.List(identity, projects.ListOpts{DomainID: defaultDomain}), "projects", id)
				return err
			}))
	}
	return errors.Join(errs...)
}

// ids joins the saved id, under which the object may since have been renamed,
// with those found by name.
func (a Account) ids(key string, n int, found func(int) string) ([]string, error) {
	saved, err := a.Memory.Find(a.key(key))
	if err != nil {
		return nil, err
	}
	return Union(saved, n, found), nil
}

// Union returns the saved id, if any, and the found ones that differ from it.
func Union(saved string, n int, found func(int) string) []string {
	var ids []string
	if saved != "" {
		ids = append(ids, saved)
	}
	for i := range n {
		if id := found(i); id != saved {
			ids = append(ids, id)
		}
	}
	return ids
}

// ResourceName is the name of what a check makes: unique per run, and known
// before it is made. It fits keystone's limit of 64 characters as long as the
// tag has at most 30.
func ResourceName(tag, section, what string) string {
	return "grenade-" + tag + "-" + section + "-" + what
}

// Secret returns 128 random bits as hex digits.
func Secret() (string, error) {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("random secret: %w", err)
	}
	return hex.EncodeToString(raw), nil
}

// UUID returns a random one, for APIs that let the caller choose the id: it can
// be saved before the object is made.
func UUID() (string, error) {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("random uuid: %w", err)
	}
	raw[6] = raw[6]&0x0f | 0x40 // version 4, RFC 9562 section 5.4
	raw[8] = raw[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:]), nil
}
