// Package keystone checks that identities survive an upgrade: a domain with a
// project, a user, a group and a role, their assignments, an application
// credential and a token that were issued before it, the keys that tokens are
// made with, and the rows behind all of it.
package keystone

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/applicationcredentials"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/domains"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"

	"grenade/resources"
)

// Project is the name under which this check is listed.
const Project = "keystone"

// Keys under which the check keeps what it needs later. The objects as they
// were at create are kept by resources.Memory.
const (
	keyName        = "name" // of the domain and of everything in it
	keyPassword    = "password"
	keyDomain      = "domain_id"
	keyProject     = "project_id"
	keyRole        = "role_id"
	keyUser        = "user_id"
	keyGroup       = "group_id"
	keyAppCred     = "application_credential_id"
	keyAppSecret   = "application_credential_secret"
	keyToken       = "token"
	keyTokenExpiry = "token_expires_at" // RFC 3339
	keyFernet      = "fernet_keys"      // directories in the node
	keyCredential  = "credential_keys"
)

// Description and email of what is made: not only ASCII, because a database
// whose character set changed shows only then.
const (
	description = "made before the upgrade · créé avant · 升级前"
	email       = "grenade@example.org"
)

type check struct {
	cloud  resources.Cloud
	memory *resources.Memory
}

// New returns keystone's check.
func New(cloud resources.Cloud) resources.Check {
	return &check{cloud: cloud, memory: cloud.Memory(Project)}
}

// Solitary says that the check is one (see resources.Solitary). Keystone of Zed
// has refused a user's application credential twice in about ten runs, for want of
// a role that the user's token had, while the other check was giving roles to users
// of its own.
func (c *check) Solitary() {}

// EarlyCreate implements resources.Check.
func (c *check) EarlyCreate(context.Context) error {
	return &resources.NotChecked{Reason: "no other project needs anything of keystone's check"}
}

// Create implements resources.Check.
func (c *check) Create(ctx context.Context) error {
	if err := resources.Afresh(ctx, c.cloud, c.memory, c.Destroy); err != nil {
		return err
	}
	if err := c.make(ctx); err != nil {
		return err
	}
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	if err := c.memory.Record(ctx, s.objects()); err != nil {
		return err
	}
	if err := c.memory.RecordVersion(ctx, c.cloud, s.admin.Endpoint); err != nil {
		return err
	}
	inside, err := c.inside()
	if resources.IsNotChecked(err) {
		return nil // VerifyNoAPI will say so
	}
	if err != nil {
		return err
	}
	if err := inside.locate(ctx); err != nil {
		return err
	}
	objects, err := inside.objects()
	if err != nil {
		return err
	}
	return c.memory.Record(ctx, objects)
}

// Verify implements resources.Check.
func (c *check) Verify(ctx context.Context, stage resources.Stage) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(
		c.memory.Compare(ctx, stage, s.objects()),
		c.memory.CompareVersion(ctx, c.cloud, s.admin.Endpoint, stage),
	)
}

// VerifyNoAPI implements resources.Check.
func (c *check) VerifyNoAPI(ctx context.Context, stage resources.Stage) error {
	inside, err := c.inside()
	if err != nil {
		return err
	}
	objects, err := inside.objects()
	if err != nil {
		return err
	}
	return c.memory.Compare(ctx, stage, objects)
}

// make creates everything. Each id is saved as soon as it is known; names and
// the password before anything is made.
func (c *check) make(ctx context.Context) error {
	admin, err := c.admin(ctx)
	if err != nil {
		return err
	}
	password, err := resources.Secret()
	if err != nil {
		return err
	}
	name := resources.ResourceName(c.cloud.Tag, c.memory.Section, "check")
	if err := c.memory.Save(ctx, map[string]string{keyName: name, keyPassword: password}); err != nil {
		return err
	}
	keep := func(key, id string, err error) error {
		if err != nil {
			return fmt.Errorf("create %s %s: %w", strings.TrimSuffix(key, "_id"), name, err)
		}
		return c.memory.Save(ctx, map[string]string{key: id})
	}

	domain, err := domains.Create(ctx, admin, domains.CreateOpts{Name: name, Description: description}).Extract()
	if err := keep(keyDomain, idOf(domain, func() string { return domain.ID }), err); err != nil {
		return err
	}
	project, err := projects.Create(ctx, admin, projects.CreateOpts{
		Name: name, DomainID: domain.ID, Description: description, Tags: []string{"before", "upgrade"},
	}).Extract()
	if err := keep(keyProject, idOf(project, func() string { return project.ID }), err); err != nil {
		return err
	}
	role, err := roles.Create(ctx, admin, roles.CreateOpts{Name: name, Description: description}).Extract()
	if err := keep(keyRole, idOf(role, func() string { return role.ID }), err); err != nil {
		return err
	}
	user, err := users.Create(ctx, admin, users.CreateOpts{
		Name: name, DomainID: domain.ID, DefaultProjectID: project.ID, Password: password,
		Description: description, Extra: map[string]any{"email": email},
	}).Extract()
	if err := keep(keyUser, idOf(user, func() string { return user.ID }), err); err != nil {
		return err
	}
	group, err := groups.Create(ctx, admin, groups.CreateOpts{Name: name, DomainID: domain.ID, Description: description}).Extract()
	if err := keep(keyGroup, idOf(group, func() string { return group.ID }), err); err != nil {
		return err
	}
	if err := users.AddToGroup(ctx, admin, group.ID, user.ID).ExtractErr(); err != nil {
		return fmt.Errorf("put user %s into group %s: %w", user.ID, group.ID, err)
	}
	for _, where := range []roles.AssignOpts{
		{UserID: user.ID, ProjectID: project.ID},
		{GroupID: group.ID, DomainID: domain.ID},
	} {
		if err := roles.Assign(ctx, admin, role.ID, where).ExtractErr(); err != nil {
			return fmt.Errorf("assign role %s: %w", role.ID, err)
		}
	}
	return c.makeAsUser(ctx, user.ID, project.ID, password)
}

func idOf[T any](object *T, id func() string) string {
	if object == nil {
		return ""
	}
	return id()
}

// makeAsUser issues the token and the application credential, as the user.
func (c *check) makeAsUser(ctx context.Context, user, project, password string) error {
	anonymous, err := c.withToken("")
	if err != nil {
		return err
	}
	issued := tokens.Create(ctx, anonymous, &tokens.AuthOptions{
		UserID: user, Password: password, Scope: tokens.Scope{ProjectID: project},
	})
	token, err := issued.ExtractToken()
	if err != nil {
		return fmt.Errorf("issue a token to user %s: %w", user, err)
	}
	if err := c.memory.Save(ctx, map[string]string{
		keyToken: token.ID, keyTokenExpiry: token.ExpiresAt.Format(timeLayout),
	}); err != nil {
		return err
	}
	own, err := c.withToken(token.ID)
	if err != nil {
		return err
	}
	name, err := c.memory.Get(keyName)
	if err != nil {
		return err
	}
	secret, err := resources.Secret()
	if err != nil {
		return err
	}
	credential, err := applicationcredentials.Create(ctx, own, user, applicationcredentials.CreateOpts{
		Name: name, Description: description, Secret: secret,
	}).Extract()
	if err != nil {
		return fmt.Errorf("create application credential of user %s: %w", user, err)
	}
	return c.memory.Save(ctx, map[string]string{keyAppCred: credential.ID, keyAppSecret: secret})
}

func (c *check) admin(ctx context.Context) (*gophercloud.ServiceClient, error) {
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return nil, err
	}
	return c.cloud.Identity(provider)
}

func (c *check) withToken(token string) (*gophercloud.ServiceClient, error) {
	provider, err := c.cloud.WithToken(token)
	if err != nil {
		return nil, err
	}
	return c.cloud.Identity(provider)
}
