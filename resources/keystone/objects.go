package keystone

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/applicationcredentials"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/catalog"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/domains"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/endpoints"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/services"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"grenade/resources"
)

const timeLayout = time.RFC3339

// freshToken is the table of what differs between two tokens of one user.
func freshToken() []resources.Tolerated {
	return []resources.Tolerated{
		{Attribute: "issued_at", Reason: "the token is issued anew in each phase"},
		{Attribute: "expires_at", Reason: "follows issued_at"},
		{Attribute: "audit_ids", Reason: "random per token (keystone, token provider: audit ids)"},
	}
}

// session is what one phase needs to look at the objects: the administrator,
// and what create saved.
type session struct {
	check *check
	admin *gophercloud.ServiceClient
	saved map[string]string
}

func (c *check) open(ctx context.Context) (*session, error) {
	saved, err := c.memory.All()
	if err != nil {
		return nil, err
	}
	for _, key := range []string{keyName, keyPassword, keyDomain, keyProject, keyRole, keyUser, keyGroup, keyAppCred, keyAppSecret, keyToken, keyTokenExpiry} {
		if saved[key] == "" {
			return nil, fmt.Errorf("the store has no [%s] %s: create did not get that far", c.memory.Section, key)
		}
	}
	admin, err := c.admin(ctx)
	if err != nil {
		return nil, err
	}
	return &session{check: c, admin: admin, saved: saved}, nil
}

// objects lists everything that is compared through the API. Objects are read
// from lists, not one by one: keystone answers a GET of one user, project, role
// or application credential from memcached for ten minutes ([cache]
// expiration_time), and memcached runs on during the upgrade. A row that the
// upgrade lost would still be shown; lists come from the database.
func (s *session) objects() []resources.Object {
	id := s.saved
	return []resources.Object{
		{
			Name:  "domain",
			Fetch: listed(domains.List(s.admin, domains.ListOpts{}), "domains", id[keyDomain]),
			Asked: map[string]any{"name": id[keyName], "description": description, "enabled": true},
		},
		{
			Name:  "project",
			Fetch: listed(projects.List(s.admin, projects.ListOpts{DomainID: id[keyDomain]}), "projects", id[keyProject]),
			Asked: map[string]any{
				"name": id[keyName], "description": description, "enabled": true,
				"domain_id": id[keyDomain], "tags": []string{"before", "upgrade"},
			},
		},
		{
			Name:  "user",
			Fetch: listed(users.List(s.admin, users.ListOpts{DomainID: id[keyDomain]}), "users", id[keyUser]),
			Asked: map[string]any{
				"name": id[keyName], "description": description, "enabled": true, "email": email,
				"domain_id": id[keyDomain], "default_project_id": id[keyProject],
			},
		},
		{
			Name:  "group",
			Fetch: listed(groups.List(s.admin, groups.ListOpts{DomainID: id[keyDomain]}), "groups", id[keyGroup]),
			Asked: map[string]any{"name": id[keyName], "description": description, "domain_id": id[keyDomain]},
		},
		{
			Name:  "group_members",
			Fetch: ids(users.ListInGroup(s.admin, id[keyGroup], nil), "users"),
			Asked: map[string]any{"": []string{id[keyUser]}},
		},
		{
			Name:  "role",
			Fetch: listed(roles.List(s.admin, roles.ListOpts{}), "roles", id[keyRole]),
			Asked: map[string]any{"name": id[keyName], "description": description, "domain_id": nil},
		},
		s.assignments("user_assignments", roles.ListAssignmentsOpts{UserID: id[keyUser]},
			"user "+id[keyUser]+": role "+id[keyRole]+" on project "+id[keyProject]),
		s.assignments("group_assignments", roles.ListAssignmentsOpts{GroupID: id[keyGroup]},
			"group "+id[keyGroup]+": role "+id[keyRole]+" on domain "+id[keyDomain]),
		{Name: "application_credential", Fetch: s.applicationCredential},
		{Name: "old_token", Fetch: s.oldToken},
		{Name: "old_token_seen_by_admin", Fetch: func(ctx context.Context) (any, error) {
			return s.validate(ctx, s.admin)
		}},
		{Name: "login_by_password", Fetch: s.login(tokens.AuthOptions{
			UserID: id[keyUser], Password: id[keyPassword], Scope: tokens.Scope{ProjectID: id[keyProject]},
		}), Tolerated: freshToken()},
		// The user has no role on the domain but through the group.
		{Name: "login_through_group", Fetch: s.login(tokens.AuthOptions{
			UserID: id[keyUser], Password: id[keyPassword], Scope: tokens.Scope{DomainID: id[keyDomain]},
		}), Tolerated: freshToken()},
		{Name: "login_by_application_credential", Fetch: s.login(tokens.AuthOptions{
			ApplicationCredentialID: id[keyAppCred], ApplicationCredentialSecret: id[keyAppSecret],
		}), Tolerated: freshToken()},
		{Name: "catalog", Fetch: s.catalog},
		{Name: "services", Fetch: whole(services.List(s.admin, services.ListOpts{}), "services")},
		{Name: "endpoints", Fetch: whole(endpoints.List(s.admin, endpoints.ListOpts{}), "endpoints")},
	}
}

func listed(pager pagination.Pager, member, id string) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) { return resources.Listed(ctx, pager, member, id) }
}

// whole is a collection as it is.
func whole(pager pagination.Pager, member string) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) { return resources.Collection(ctx, pager, member) }
}

// ids lists the ids of a collection.
func ids(pager pagination.Pager, member string) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		objects, err := resources.Collection(ctx, pager, member)
		if err != nil {
			return nil, err
		}
		found := []string{}
		for _, object := range objects {
			found = append(found, fmt.Sprint(object["id"]))
		}
		return found, nil
	}
}

// assignments writes each role assignment as a sentence; there must be exactly
// the one that create made.
func (s *session) assignments(name string, which roles.ListAssignmentsOpts, want string) resources.Object {
	return resources.Object{
		Name: name,
		Fetch: func(ctx context.Context) (any, error) {
			page, err := roles.ListAssignments(s.admin, which).AllPages(ctx)
			if err != nil {
				return nil, fmt.Errorf("list role assignments: %w", err)
			}
			found, err := roles.ExtractRoleAssignments(page)
			if err != nil {
				return nil, fmt.Errorf("list role assignments: %w", err)
			}
			sentences := []string{}
			for _, a := range found {
				who, where := "user "+a.User.ID, "project "+a.Scope.Project.ID
				if a.Group.ID != "" {
					who = "group " + a.Group.ID
				}
				if a.Scope.Domain.ID != "" {
					where = "domain " + a.Scope.Domain.ID
				}
				sentences = append(sentences, who+": role "+a.Role.ID+" on "+where)
			}
			return sentences, nil
		},
		Asked: map[string]any{"": []string{want}},
	}
}

// ownClient is the user himself, logged in by password now.
func (s *session) ownClient(ctx context.Context) (*gophercloud.ServiceClient, error) {
	provider, err := s.check.cloud.Login(ctx, gophercloud.AuthOptions{
		UserID: s.saved[keyUser], Password: s.saved[keyPassword],
		Scope: &gophercloud.AuthScope{ProjectID: s.saved[keyProject]},
	})
	if err != nil {
		return nil, err
	}
	return s.check.cloud.Identity(provider)
}

// applicationCredential is read by the user himself: nobody else needs to.
func (s *session) applicationCredential(ctx context.Context) (any, error) {
	own, err := s.ownClient(ctx)
	if err != nil {
		return nil, err
	}
	return listed(applicationcredentials.List(own, s.saved[keyUser], nil), "application_credentials", s.saved[keyAppCred])(ctx)
}

func (s *session) expired() (bool, error) {
	expiry, err := time.Parse(timeLayout, s.saved[keyTokenExpiry])
	if err != nil {
		return false, fmt.Errorf("[%s] %s in the store: %w", s.check.memory.Section, keyTokenExpiry, err)
	}
	return !time.Now().Before(expiry), nil
}

// oldToken is the token that create saved, used by its owner to ask about
// itself: it must both authenticate the call and be valid as its subject.
func (s *session) oldToken(ctx context.Context) (any, error) {
	expired, err := s.expired()
	if err != nil {
		return nil, err
	}
	if expired {
		// It cannot authenticate any more, and must not.
		own, err := s.ownClient(ctx)
		if err != nil {
			return nil, err
		}
		return s.validate(ctx, own)
	}
	own, err := s.check.withToken(s.saved[keyToken])
	if err != nil {
		return nil, err
	}
	return s.validate(ctx, own)
}

// validate asks keystone about the saved token. In a run that takes longer than
// a token lives (default 1 h), or on a cloud that was kept, the token is asked
// for with allow_expired, which keystone grants for [token]
// allow_expired_window, default 48 h: that it can still be decrypted is what is
// to be shown (keystone API reference, "Validate and show information for token").
func (s *session) validate(ctx context.Context, client *gophercloud.ServiceClient) (any, error) {
	if err := s.dropTokenCache(ctx); err != nil {
		return nil, err
	}
	expired, err := s.expired()
	if err != nil {
		return nil, err
	}
	url := client.ServiceURL("auth", "tokens")
	if expired {
		s.check.memory.Log.Infof("the token issued by create expired at %s: validated with allow_expired", s.saved[keyTokenExpiry])
		url += "?allow_expired=1"
	}
	var result gophercloud.Result
	answer, err := client.Get(ctx, url, &result.Body, &gophercloud.RequestOpts{ //nolint:bodyclose // closed by gophercloud once decoded
		MoreHeaders: map[string]string{"X-Subject-Token": s.saved[keyToken]},
		OkCodes:     []int{http.StatusOK},
	})
	_, result.Header, result.Err = gophercloud.ParseResponse(answer, err)
	return resources.Member(result, "token")
}

// dropTokenCache makes keystone forget the tokens that it has validated. It
// keeps them in memcached from the moment of issue ([token] cache_on_issue), so
// a token would still be called valid after the keys that can read it are gone.
// Deleting a user, any user, empties that cache in every release (keystone,
// token/provider.py, the callbacks that the manager registers).
func (s *session) dropTokenCache(ctx context.Context) error {
	suffix, err := resources.Secret()
	if err != nil {
		return err
	}
	name := s.saved[keyName] + "-" + suffix
	user, err := users.Create(ctx, s.admin, users.CreateOpts{Name: name, DomainID: s.saved[keyDomain]}).Extract()
	if err != nil {
		return fmt.Errorf("create user %s, to have keystone drop its token cache: %w", name, err)
	}
	if err := users.Delete(ctx, s.admin, user.ID).ExtractErr(); err != nil {
		return fmt.Errorf("delete user %s, to have keystone drop its token cache: %w", name, err)
	}
	return nil
}

// login authenticates afresh and returns what the token says.
func (s *session) login(how tokens.AuthOptions) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		anonymous, err := s.check.withToken("")
		if err != nil {
			return nil, err
		}
		return resources.Member(tokens.Create(ctx, anonymous, &how).Result, "token")
	}
}

// catalog is what an ordinary user is told about where the services are.
func (s *session) catalog(ctx context.Context) (any, error) {
	own, err := s.ownClient(ctx)
	if err != nil {
		return nil, err
	}
	return resources.Collection(ctx, catalog.List(own), "catalog")
}
