// Package swift checks that stored objects survive an upgrade: bytes, hashes,
// metadata and listings, objects made of segments, versions, who may read them,
// and the files and databases on the storage servers' disks. All of it belongs
// to ordinary users; only their accounts, and the removal, are the
// administrator's work.
package swift

import (
	"context"
	"errors"
	"fmt"

	"github.com/gophercloud/gophercloud/v2"

	"grenade/resources"
)

// Project is the name under which this check is listed.
const Project = "swift"

// serviceType is what the catalog calls the Object Storage service.
const serviceType = "object-store"

// Keys under which the check keeps what it needs later.
const (
	keyFeatures = "features"         // which optional parts create found, as JSON
	keyVersion  = "software_version" // as /info tells it
	keyTempURL  = "temporary_url"    // query of it
	keyStory    = "story_version"    // id of the overwritten version
	keyScratch  = "scratch"          // content of the object that verify overwrites
	keySettled  = "totals_settled"   // whether the account's totals are compared
	keyAccount  = "swift_account"    // of the owner
	keyStored   = "stored"           // what of it is on the node's disks, as JSON
)

type check struct {
	cloud  resources.Cloud
	memory *resources.Memory
}

// New returns swift's check.
func New(cloud resources.Cloud) resources.Check {
	return &check{cloud: cloud, memory: cloud.Memory(Project)}
}

// owner has everything that is compared.
func (c *check) owner() resources.Account {
	return resources.Account{Cloud: c.cloud, Memory: c.memory, Name: "owner"}
}

// friend may read one container of the owner's, and has the one in which verify
// works after the upgrade.
func (c *check) friend() resources.Account {
	return resources.Account{Cloud: c.cloud, Memory: c.memory, Name: "friend"}
}

// container is the name of one of the check's containers.
func (c *check) container(what string) string {
	return resources.ResourceName(c.cloud.Tag, c.memory.Section, what)
}

// EarlyCreate implements resources.Check.
func (c *check) EarlyCreate(context.Context) error {
	return &resources.NotChecked{Reason: "no other project needs anything of swift's check"}
}

// Create implements resources.Check.
func (c *check) Create(ctx context.Context) error {
	if err := resources.Afresh(ctx, c.cloud, c.memory, c.Destroy); err != nil {
		return err
	}
	asked, err := c.make(ctx)
	if err != nil {
		return err
	}
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	if err := s.awaitListings(ctx, asked); err != nil {
		return err
	}
	if err := c.settleTotals(ctx, s); err != nil {
		return err
	}
	if err := c.memory.Record(ctx, s.objects(asked)); err != nil {
		return err
	}
	if err := s.recordInfo(ctx); err != nil {
		return err
	}
	return c.recordInside(ctx, asked)
}

// Verify implements resources.Check. After the upgrade it works on the new code,
// too (see afterwards.go).
func (c *check) Verify(ctx context.Context, stage resources.Stage) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	if stage == resources.PostUpgrade {
		if err := s.removeAfterwards(ctx); err != nil {
			return fmt.Errorf("remove what an earlier verify left: %w", err)
		}
	}
	err = errors.Join(c.memory.Compare(ctx, stage, s.objects(nil)), s.compareInfo(ctx, stage))
	if err != nil || stage == resources.PreUpgrade {
		return err
	}
	return s.afterwards(ctx)
}

// VerifyNoAPI implements resources.Check.
func (c *check) VerifyNoAPI(ctx context.Context, stage resources.Stage) error {
	inside, err := c.inside()
	if err != nil {
		return err
	}
	return inside.compare(ctx, stage)
}

// session is what one phase needs: both users, logged in afresh.
type session struct {
	check         *check
	owner, friend *gophercloud.ServiceClient
	saved         map[string]string
	features      features
}

func (c *check) open(ctx context.Context) (*session, error) {
	s := &session{check: c}
	var err error
	if s.saved, err = c.memory.All(); err != nil {
		return nil, err
	}
	if s.features, err = c.features(); err != nil {
		return nil, err
	}
	if s.owner, err = c.login(ctx, c.owner()); err != nil {
		return nil, err
	}
	s.friend, err = c.login(ctx, c.friend())
	return s, err
}

// login returns the swift account of an account's project, as its own user.
func (c *check) login(ctx context.Context, account resources.Account) (*gophercloud.ServiceClient, error) {
	project, err := account.ProjectID()
	if err != nil {
		return nil, err
	}
	provider, err := account.Login(ctx)
	if err != nil {
		return nil, err
	}
	return c.client(provider, project)
}
