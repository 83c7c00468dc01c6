// Package glance checks that an image survives an upgrade: its bytes, its
// hashes, properties and tags, who may see it, the file it is kept in and the
// rows that describe it. Nothing of it is done as administrator but the two
// accounts, and the removal.
package glance

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/members"

	"grenade/resources"
)

// Project is the name under which this check is listed.
const Project = "glance"

// Keys under which the check keeps what it needs later.
const (
	keyImage  = "image_id"
	keySize   = "size"   // bytes
	keySHA256 = "sha256" // of the bytes that were uploaded
	keyFile   = "file"   // path in the node
	keyStore  = "store"  // type of the store that holds the image
)

// imageSize is in bytes: 2 MiB and a little, so that no block size divides it.
const imageSize = 2<<20 + 517

// activeWithin is how long an image of that size may stay queued or saving.
const activeWithin = 2 * time.Minute

// Custom properties: an ordinary one, one that is not ASCII, one that is empty.
func properties() map[string]string {
	return map[string]string{
		"grenade_origin": "made before the upgrade",
		"grenade_note":   "créé avant · 升级前 · 100 %",
		"grenade_empty":  "",
	}
}

func tags() []string { return []string{"before", "upgrade"} }

type check struct {
	cloud  resources.Cloud
	memory *resources.Memory
}

// New returns glance's check.
func New(cloud resources.Cloud) resources.Check {
	return &check{cloud: cloud, memory: cloud.Memory(Project)}
}

func (c *check) owner() resources.Account {
	return resources.Account{Cloud: c.cloud, Memory: c.memory, Name: "owner"}
}

func (c *check) member() resources.Account {
	return resources.Account{Cloud: c.cloud, Memory: c.memory, Name: "member"}
}

// EarlyCreate implements resources.Check.
func (c *check) EarlyCreate(context.Context) error {
	return &resources.NotChecked{Reason: "no other project needs anything of glance's check"}
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
	if err := c.memory.Record(ctx, s.objects(asked)); err != nil {
		return err
	}
	if err := c.memory.RecordVersion(ctx, c.cloud, s.versions()); err != nil {
		return err
	}
	inside, err := c.inside()
	if resources.IsNotChecked(err) {
		return nil // VerifyNoAPI will say so
	}
	if err != nil {
		return err
	}
	if err := inside.locate(ctx, s.image); err != nil {
		return err
	}
	objects, err := inside.objects(asked)
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
		c.memory.Compare(ctx, stage, s.objects(nil)),
		c.memory.CompareVersion(ctx, c.cloud, s.versions(), stage),
	)
}

// VerifyNoAPI implements resources.Check.
func (c *check) VerifyNoAPI(ctx context.Context, stage resources.Stage) error {
	inside, err := c.inside()
	if err != nil {
		return err
	}
	objects, err := inside.objects(nil)
	if err != nil {
		return err
	}
	if err := c.memory.Compare(ctx, stage, objects); err != nil {
		return err
	}
	return inside.unchecked()
}

// asked is what create wants to find in what it made.
type asked struct {
	image map[string]any
	data  resources.File
}

// make creates everything, each id saved before the thing is made.
func (c *check) make(ctx context.Context) (*asked, error) {
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return nil, err
	}
	identity, err := c.cloud.Identity(provider)
	if err != nil {
		return nil, err
	}
	for _, account := range []resources.Account{c.owner(), c.member()} {
		if err := account.Make(ctx, identity); err != nil {
			return nil, err
		}
	}
	content := make([]byte, imageSize)
	if _, err := rand.Read(content); err != nil {
		return nil, fmt.Errorf("random image: %w", err)
	}
	checksum, hash, sum := md5.Sum(content), sha512.Sum512(content), sha256.Sum256(content)
	id, err := resources.UUID()
	if err != nil {
		return nil, err
	}
	if err := c.memory.Save(ctx, map[string]string{
		keyImage: id, keySize: strconv.Itoa(imageSize), keySHA256: hex.EncodeToString(sum[:]),
	}); err != nil {
		return nil, err
	}
	image, err := c.imageClient(ctx, c.owner())
	if err != nil {
		return nil, err
	}
	name := resources.ResourceName(c.cloud.Tag, c.memory.Section, "image")
	shared, public := images.ImageVisibilityShared, false
	create := images.CreateOpts{
		ID: id, Name: name, Visibility: &shared, Protected: &public, Tags: tags(),
		ContainerFormat: "bare", DiskFormat: "raw", MinDisk: 1, MinRAM: 64, Properties: properties(),
	}
	if err := images.Create(ctx, image, create).Err; err != nil {
		return nil, fmt.Errorf("create image %s: %w", id, err)
	}
	if err := imagedata.Upload(ctx, image, id, bytes.NewReader(content)).ExtractErr(); err != nil {
		return nil, fmt.Errorf("upload %d bytes to image %s: %w", imageSize, id, err)
	}
	if err := waitActive(ctx, image, id); err != nil {
		return nil, err
	}
	if err := c.share(ctx, image, id); err != nil {
		return nil, err
	}
	owner, err := c.owner().ProjectID()
	if err != nil {
		return nil, err
	}
	want := map[string]any{
		"id": id, "name": name, "owner": owner, "status": "active", "visibility": "shared", "protected": false,
		"tags": tags(), "container_format": "bare", "disk_format": "raw", "min_disk": 1, "min_ram": 64,
		"size": imageSize, "checksum": hex.EncodeToString(checksum[:]),
		// The default of glance's [DEFAULT] hashing_algorithm since Rocky.
		"os_hash_algo": "sha512", "os_hash_value": hex.EncodeToString(hash[:]),
	}
	for key, value := range properties() {
		want[key] = value
	}
	return &asked{image: want, data: resources.File{Size: imageSize, SHA256: hex.EncodeToString(sum[:])}}, nil
}

// share makes the second project a member, which the second user accepts.
func (c *check) share(ctx context.Context, image *gophercloud.ServiceClient, id string) error {
	project, err := c.member().ProjectID()
	if err != nil {
		return err
	}
	if err := members.Create(ctx, image, id, project).Err; err != nil {
		return fmt.Errorf("share image %s with project %s: %w", id, project, err)
	}
	theirs, err := c.imageClient(ctx, c.member())
	if err != nil {
		return err
	}
	if err := members.Update(ctx, theirs, id, project, members.UpdateOpts{Status: "accepted"}).Err; err != nil {
		return fmt.Errorf("accept image %s as project %s: %w", id, project, err)
	}
	return nil
}

func waitActive(ctx context.Context, image *gophercloud.ServiceClient, id string) error {
	return resources.WaitFor(ctx, resources.Wait{Object: "image " + id, Limit: activeWithin},
		func(ctx context.Context) (resources.Progress, error) {
			seen, err := images.Get(ctx, image, id).Extract()
			if err != nil {
				return resources.Progress{}, err //nolint:wrapcheck // WaitFor names the image
			}
			status := seen.Status
			return resources.Progress{
				Status: string(status),
				Done:   status == images.ImageStatusActive,
				Failed: status == images.ImageStatusKilled || status == images.ImageStatusDeleted || status == images.ImageStatusDeactivated,
				Fault:  "glance keeps the reason in its log only",
			}, nil
		})
}

func (c *check) imageClient(ctx context.Context, account resources.Account) (*gophercloud.ServiceClient, error) {
	provider, err := account.Login(ctx)
	if err != nil {
		return nil, err
	}
	return c.cloud.Service(provider, "image", "v2")
}
