package nova

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servergroups"

	"grenade/resources"
	"grenade/resources/guest"
)

// policy is the server group's: it asks nova for nothing that one host cannot give.
const policy = "soft-anti-affinity"

// The flavor's figures: those of the cloud's smallest.
const (
	flavorRAM  = 128 // MiB
	flavorDisk = 1   // GiB
)

// extraSpecs change nothing that a guest needs; each is of another namespace.
func extraSpecs() map[string]string {
	return map[string]string{
		"hw:watchdog_action": "disabled", "hw_rng:allowed": "False", "grenade:origin": "before the upgrade",
	}
}

func metadata() map[string]string {
	return map[string]string{"origin": "before the upgrade", "note": "créé avant · 升级前", "empty": ""}
}

func tags() []string { return []string{"before", "upgrade"} }

// Limits of the project, which differ from nova's defaults.
const (
	quotaInstances = 7
	quotaCores     = 9
)

// asked is what create wants to find in what it made.
type asked struct {
	server, flavor, keypair, group, quota map[string]any
}

// make creates everything. Names are saved before anything is made, ids at once.
func (c *check) make(ctx context.Context) (*asked, error) {
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return nil, err
	}
	identity, err := c.cloud.Identity(provider)
	if err != nil {
		return nil, err
	}
	name := resources.ResourceName(c.cloud.Tag, c.memory.Section, "own")
	flavor, err := resources.UUID()
	if err != nil {
		return nil, err
	}
	if err := c.memory.Save(ctx, map[string]string{keyName: name, keyFlavor: flavor}); err != nil {
		return nil, err
	}
	if err := c.owner().Make(ctx, identity); err != nil {
		return nil, err
	}
	admin, err := c.compute(provider)
	if err != nil {
		return nil, err
	}
	want := &asked{}
	if err := c.makeQuota(ctx, admin, want); err != nil {
		return nil, err
	}
	if err := c.makeFlavor(ctx, admin, flavor, name, want); err != nil {
		return nil, err
	}
	own, err := c.owner().Login(ctx)
	if err != nil {
		return nil, err
	}
	compute, err := c.compute(own)
	if err != nil {
		return nil, err
	}
	if err := c.makeKeyPair(ctx, compute, name, want); err != nil {
		return nil, err
	}
	if err := c.makeServerGroup(ctx, compute, name, want); err != nil {
		return nil, err
	}
	if err := c.former().MakeAndRemove(ctx); err != nil {
		return nil, fmt.Errorf("a server that is deleted before the upgrade: %w", err)
	}
	return want, c.makeGuest(ctx, own, name, want)
}

func (c *check) makeQuota(ctx context.Context, admin *gophercloud.ServiceClient, want *asked) error {
	project, err := c.owner().ProjectID()
	if err != nil {
		return err
	}
	instances, cores := quotaInstances, quotaCores
	if err := quotasets.Update(ctx, admin, project, quotasets.UpdateOpts{Instances: &instances, Cores: &cores}).Err; err != nil {
		return fmt.Errorf("set compute quota of project %s: %w", project, err)
	}
	want.quota = map[string]any{"instances": instances, "cores": cores}
	return nil
}

func (c *check) makeFlavor(ctx context.Context, admin *gophercloud.ServiceClient, id, name string, want *asked) error {
	disk, public := flavorDisk, false
	if err := flavors.Create(ctx, admin, flavors.CreateOpts{
		ID: id, Name: name, RAM: flavorRAM, VCPUs: 1, Disk: &disk, IsPublic: &public, Description: "made before the upgrade",
	}).Err; err != nil {
		return fmt.Errorf("create flavor %s (%s): %w", id, name, err)
	}
	if err := flavors.CreateExtraSpecs(ctx, admin, id, flavors.ExtraSpecsOpts(extraSpecs())).Err; err != nil {
		return fmt.Errorf("give flavor %s extra specs: %w", id, err)
	}
	project, err := c.owner().ProjectID()
	if err != nil {
		return err
	}
	if err := flavors.AddAccess(ctx, admin, id, flavors.AddAccessOpts{Tenant: project}).Err; err != nil {
		return fmt.Errorf("let project %s use flavor %s: %w", project, id, err)
	}
	want.flavor = map[string]any{
		"id": id, "name": name, "ram": flavorRAM, "vcpus": 1, "disk": disk, "os-flavor-access:is_public": false,
		"description": "made before the upgrade",
	}
	for key, value := range extraSpecs() {
		want.flavor["extra_specs."+key] = value
	}
	return nil
}

func (c *check) makeKeyPair(ctx context.Context, compute *gophercloud.ServiceClient, name string, want *asked) error {
	key, fingerprint, err := publicKey(name)
	if err != nil {
		return err
	}
	if err := keypairs.Create(ctx, compute, keypairs.CreateOpts{Name: name, Type: "ssh", PublicKey: key}).Err; err != nil {
		return fmt.Errorf("import key pair %s: %w", name, err)
	}
	want.keypair = map[string]any{"name": name, "public_key": key, "fingerprint": fingerprint}
	return nil
}

func (c *check) makeServerGroup(ctx context.Context, compute *gophercloud.ServiceClient, name string, want *asked) error {
	group, err := servergroups.Create(ctx, compute, servergroups.CreateOpts{Name: name, Policy: policy}).Extract()
	if err != nil {
		return fmt.Errorf("create server group %s: %w", name, err)
	}
	want.group = map[string]any{"id": group.ID, "name": name, "policy": policy}
	return c.memory.Save(ctx, map[string]string{keyServerGroup: group.ID})
}

// makeGuest makes the server with all that is attached to it, and writes to its
// disks.
func (c *check) makeGuest(ctx context.Context, own *gophercloud.ProviderClient, name string, want *asked) error {
	saved, err := c.memory.All()
	if err != nil {
		return err
	}
	if err := c.guest().Make(ctx, guest.Options{
		Flavor: saved[keyFlavor], KeyName: name, ServerGroup: saved[keyServerGroup], Metadata: metadata(), Tags: tags(),
	}); err != nil {
		return err
	}
	if err := c.guest().Witness(ctx); err != nil {
		return err
	}
	server, err := c.guest().ServerID()
	if err != nil {
		return err
	}
	want.group["members"] = []string{server}
	want.server = map[string]any{
		"id": server, "status": "ACTIVE", "key_name": name, "tags": tags(), "OS-EXT-STS:power_state": 1, "OS-EXT-STS:vm_state": "active",
	}
	for key, value := range metadata() {
		want.server["metadata."+key] = value
	}
	if err := c.attachPort(ctx, own, server, name, keyPort); err != nil {
		return err
	}
	volumes, err := c.volumes(own)
	if err != nil {
		return err
	}
	if volumes != nil {
		if err := c.attachVolume(ctx, own, volumes, server, name, keyVolume); err != nil {
			return err
		}
	}
	return c.write(ctx, volumes != nil)
}

// write puts random bytes on the guest's disks: on the root disk far behind what
// the image brings, on the volume at its beginning.
func (c *check) write(ctx context.Context, volume bool) error {
	state, err := c.answer(ctx)
	if err != nil {
		return err
	}
	root, ok := state.Disk(rootDisk)
	if !ok {
		return fmt.Errorf("the guest has no disk %s; it has %v", rootDisk, state.Disks)
	}
	place := root.Bytes / 2 / contentLength * contentLength
	sum, err := c.writeRandom(ctx, rootDisk, place)
	if err != nil {
		return err
	}
	if err := c.memory.Save(ctx, map[string]string{keyPlace: strconv.FormatInt(place, 10), keyDiskContent: sum}); err != nil || !volume {
		return err
	}
	id, err := c.memory.Get(keyVolume)
	if err != nil {
		return err
	}
	if sum, err = c.writeRandom(ctx, id, 0); err != nil {
		return err
	}
	return c.memory.Save(ctx, map[string]string{keyVolContent: sum})
}

// writeRandom returns the sha256 of what it wrote.
func (c *check) writeRandom(ctx context.Context, disk string, offset int64) (string, error) {
	responder, err := c.guest().Responder()
	if err != nil {
		return "", err
	}
	content := make([]byte, contentLength)
	if _, err := rand.Read(content); err != nil {
		return "", fmt.Errorf("random content: %w", err)
	}
	if err := responder.Write(ctx, disk, offset, content); err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:]), nil
}

// rootDisk is what the guest calls it.
const rootDisk = "vda"

// settleWithin bounds what nova writes after it has answered: the ends of
// actions, what a guest sees of a disk that was attached.
const settleWithin = time.Minute
