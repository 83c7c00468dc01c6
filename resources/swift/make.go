package swift

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/accounts"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/containers"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/objects"

	"grenade/resources"
)

// The owner's containers, by the last part of their names.
const (
	box      = "box"      // may be read by the friend
	private  = "private"  // may not
	segments = "segments" // holds what large objects consist of
	versions = "versions" // keeps what is overwritten
)

// The friend's container, in which verify works after the upgrade.
const bench = "bench"

// Names of objects.
const (
	objectName  = "Größe/升级 100%.bin" // in box
	emptyName   = "empty"             // in box
	linkName    = "link"              // in box, a symbolic link to objectName
	secretName  = "secret"            // in private
	largeName   = "large"             // in private, a static large object
	dynamicName = "dynamic"           // in private, a dynamic large object
	storyName   = "story"             // in versions, written twice
	scratchName = "scratch"           // in bench
)

// objectSize and segmentSize are in bytes: no block size divides them.
const (
	objectSize  = 1<<20 + 517
	segmentSize = 1<<17 + 211
)

// tempURLLife is how long the temporary URL is to work: longer than any run.
const tempURLLife = 30 * 24 * time.Hour

// metadata is an ordinary entry and one that is not ASCII.
func metadata() map[string]string {
	return map[string]string{"Origin": "made before the upgrade", "Note": "créé avant · 升级前 · 100 %"}
}

// data is random bytes and their hashes.
type data struct {
	bytes    []byte
	md5, sha string
}

func newData(size int) (data, error) {
	d := data{bytes: make([]byte, size)}
	if _, err := rand.Read(d.bytes); err != nil {
		return d, fmt.Errorf("random bytes: %w", err)
	}
	return d.hashed(), nil
}

func (d data) hashed() data {
	sum, sha := md5.Sum(d.bytes), sha256.Sum256(d.bytes)
	d.md5, d.sha = hex.EncodeToString(sum[:]), hex.EncodeToString(sha[:])
	return d
}

func join(parts ...data) data {
	var whole data
	for _, part := range parts {
		whole.bytes = append(whole.bytes, part.bytes...)
	}
	return whole.hashed()
}

func (d data) part(from, to int) data { return data{bytes: d.bytes[from:to]}.hashed() }

// asked is what create wants to find in what it made.
type asked struct {
	object, empty, secret, older, newer data
	large, dynamic                      []data // segments
	acl                                 string
}

func newAsked() (*asked, error) {
	a := &asked{empty: data{}.hashed()}
	for _, each := range []struct {
		to   *data
		size int
	}{{&a.object, objectSize}, {&a.secret, 4099}, {&a.older, 1021}, {&a.newer, 1031}} {
		var err error
		if *each.to, err = newData(each.size); err != nil {
			return nil, err
		}
	}
	for _, each := range []struct {
		to    *[]data
		count int
	}{{&a.large, 3}, {&a.dynamic, 2}} {
		for i := range each.count {
			segment, err := newData(segmentSize + i)
			if err != nil {
				return nil, err
			}
			*each.to = append(*each.to, segment)
		}
	}
	return a, nil
}

// segmentName is the name of a large object's segment, from 0.
func segmentName(object string, i int) string { return fmt.Sprintf("%s/%d", object, i) }

// make creates everything. Nothing needs to be saved for destroy but the
// accounts, which save themselves: it empties them, whatever is in them.
func (c *check) make(ctx context.Context) (*asked, error) {
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return nil, err
	}
	identity, err := c.cloud.Identity(provider)
	if err != nil {
		return nil, err
	}
	for _, account := range []resources.Account{c.owner(), c.friend()} {
		if err := account.Make(ctx, identity); err != nil {
			return nil, err
		}
	}
	owner, err := c.login(ctx, c.owner())
	if err != nil {
		return nil, err
	}
	friend, err := c.login(ctx, c.friend())
	if err != nil {
		return nil, err
	}
	told, err := info(ctx, owner)
	if err != nil {
		return nil, fmt.Errorf("what swift can do: %w", err)
	}
	can := featuresOf(told)
	if err := c.memory.Save(ctx, map[string]string{keyAccount: accountOf(owner)}); err != nil {
		return nil, err
	}
	a, err := newAsked()
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context, *gophercloud.ServiceClient, *features, *asked) error{
		c.makeContainers, c.makeBox, c.makeSegments, c.makeLarge, c.makeDynamic, c.makeStory, c.makeTempURL,
	} {
		if err := step(ctx, owner, &can, a); err != nil {
			return nil, err
		}
	}
	if err := c.makeBench(ctx, friend); err != nil {
		return nil, err
	}
	text, err := json.Marshal(can)
	if err != nil {
		return nil, fmt.Errorf("what swift can do: %w", err)
	}
	return a, c.memory.Save(ctx, map[string]string{keyFeatures: string(text)})
}

func (c *check) makeContainers(ctx context.Context, owner *gophercloud.ServiceClient, can *features, a *asked) error {
	project, err := c.friend().ProjectID()
	if err != nil {
		return err
	}
	user, err := c.friend().UserID()
	if err != nil {
		return err
	}
	a.acl = project + ":" + user
	made := map[string]containers.CreateOpts{
		// Without the list of readers at first: see below.
		box:      {Metadata: metadata()},
		private:  {Metadata: metadata()},
		segments: {},
	}
	if can.Versions {
		made[versions] = containers.CreateOpts{VersionsEnabled: true}
	}
	for what, opts := range made {
		if err := makeContainer(ctx, owner, c.container(what), opts); err != nil {
			return err
		}
	}
	if err := accounts.Update(ctx, owner, accounts.UpdateOpts{Metadata: metadata()}).Err; err != nil {
		return fmt.Errorf("set metadata of account %s: %w", accountOf(owner), err)
	}
	return nil
}

func makeContainer(ctx context.Context, client *gophercloud.ServiceClient, name string, opts containers.CreateOpts) error {
	err := containers.Create(ctx, client, name, opts).Err
	if isRefused(err) {
		return fmt.Errorf("create container %s: %w (the user has the role \"member\": is it among swift's operator_roles?)", name, err)
	}
	if err != nil {
		return fmt.Errorf("create container %s: %w", name, err)
	}
	return nil
}

// put uploads an object and makes sure that swift took what was sent.
func put(ctx context.Context, client *gophercloud.ServiceClient, container, name string, content data, opts objects.CreateOpts) (http.Header, error) {
	opts.Content = bytes.NewReader(content.bytes)
	made := objects.Create(ctx, client, container, name, opts)
	if made.Err != nil {
		return nil, fmt.Errorf("upload %d bytes to %s/%s: %w", len(content.bytes), container, name, made.Err)
	}
	return made.Header, nil
}

func (c *check) makeBox(ctx context.Context, owner *gophercloud.ServiceClient, can *features, a *asked) error {
	in := c.container(box)
	if _, err := put(ctx, owner, in, objectName, a.object, objects.CreateOpts{
		ContentType: "application/x-grenade", ContentDisposition: `attachment; filename="before.bin"`,
		CacheControl: "max-age=86400", Metadata: metadata(),
	}); err != nil {
		return err
	}
	if _, err := put(ctx, owner, in, emptyName, a.empty, objects.CreateOpts{ContentType: "text/plain; charset=UTF-8"}); err != nil {
		return err
	}
	// Metadata that came later is stored apart from the object's own.
	if err := objects.Update(ctx, owner, in, emptyName, objects.UpdateOpts{Metadata: metadata()}).Err; err != nil {
		return fmt.Errorf("set metadata of %s/%s: %w", in, emptyName, err)
	}
	if can.Symlink {
		if err := makeLink(ctx, owner, in, linkName, in, objectName); err != nil {
			return err
		}
	}
	if err := c.friendIsRefused(ctx, in); err != nil {
		return err
	}
	if err := containers.Update(ctx, owner, in, containers.UpdateOpts{ContainerRead: &a.acl}).Err; err != nil {
		return fmt.Errorf("let another project's user read container %s: %w", in, err)
	}
	_, err := put(ctx, owner, c.container(private), secretName, a.secret, objects.CreateOpts{ContentType: "application/octet-stream"})
	return err
}

// friendIsRefused looks that the list of readers is what lets the friend in.
func (c *check) friendIsRefused(ctx context.Context, container string) error {
	friend, err := c.login(ctx, c.friend())
	if err != nil {
		return err
	}
	owner, err := c.memory.Get(keyAccount)
	if err != nil {
		return err
	}
	_, err = download(ctx, foreign(friend, owner), container, objectName, objects.DownloadOpts{})
	if gophercloud.ResponseCodeIs(err, http.StatusForbidden) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read container %s as another project's user: %w", container, err)
	}
	return fmt.Errorf("container %s is open to another project's user before the owner lets him in", container)
}

// foreign is a user's way to another account.
func foreign(client *gophercloud.ServiceClient, account string) *gophercloud.ServiceClient {
	other := *client
	other.Endpoint = strings.TrimSuffix(client.Endpoint, accountOf(client)+"/") + account + "/"
	return &other
}

func makeLink(ctx context.Context, client *gophercloud.ServiceClient, in, name, container, object string) error {
	target := strings.TrimPrefix(address(client, "", container, object), strings.TrimSuffix(client.Endpoint, "/")+"/")
	_, err := client.Put(ctx, address(client, "", in, name), bytes.NewReader(nil), nil, &gophercloud.RequestOpts{ //nolint:bodyclose // gophercloud closes what is not asked for
		MoreHeaders: map[string]string{"X-Symlink-Target": target, "Content-Type": "application/symlink"},
	})
	if err != nil {
		return fmt.Errorf("make %s/%s a link to %s: %w", in, name, target, err)
	}
	return nil
}

func (c *check) makeSegments(ctx context.Context, owner *gophercloud.ServiceClient, _ *features, a *asked) error {
	for name, parts := range map[string][]data{largeName: a.large, dynamicName: a.dynamic} {
		for i, part := range parts {
			if _, err := put(ctx, owner, c.container(segments), segmentName(name, i), part, objects.CreateOpts{ContentType: "application/octet-stream"}); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeLarge makes an object that names its segments.
func (c *check) makeLarge(ctx context.Context, owner *gophercloud.ServiceClient, can *features, a *asked) error {
	if !can.Large {
		return nil
	}
	type segment struct {
		Path string `json:"path"`
		ETag string `json:"etag"`
		Size int    `json:"size_bytes"`
	}
	var manifest []segment
	for i, part := range a.large {
		manifest = append(manifest, segment{"/" + c.container(segments) + "/" + segmentName(largeName, i), part.md5, len(part.bytes)})
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return fmt.Errorf("manifest of %s: %w", largeName, err)
	}
	_, err = put(ctx, owner, c.container(private), largeName, data{bytes: text}, objects.CreateOpts{
		MultipartManifest: "put", NoETag: true, ContentType: "video/x-grenade", Metadata: metadata(),
	})
	return err
}

// makeDynamic makes an object that consists of all whose names begin alike.
// Whether swift does that shows when it is read: else it is empty.
func (c *check) makeDynamic(ctx context.Context, owner *gophercloud.ServiceClient, can *features, a *asked) error {
	in, all := c.container(private), join(a.dynamic...)
	if _, err := put(ctx, owner, in, dynamicName, data{}, objects.CreateOpts{
		ObjectManifest: c.container(segments) + "/" + dynamicName + "/", ContentType: "audio/x-grenade", Metadata: metadata(),
	}); err != nil {
		return err
	}
	// The list of the segments may be a moment late.
	if err := awaitListing(ctx, owner, c.container(segments), "", len(a.large)+len(a.dynamic)); err != nil {
		return err
	}
	seen, err := download(ctx, owner, in, dynamicName, objects.DownloadOpts{})
	if err != nil {
		return fmt.Errorf("read %s/%s: %w", in, dynamicName, err)
	}
	if can.Dynamic = seen.Size == int64(len(all.bytes)); !can.Dynamic {
		return remove(ctx, owner, in, dynamicName)
	}
	return nil
}

func (c *check) makeStory(ctx context.Context, owner *gophercloud.ServiceClient, can *features, a *asked) error {
	if !can.Versions {
		return nil
	}
	in := c.container(versions)
	first, err := put(ctx, owner, in, storyName, a.older, objects.CreateOpts{ContentType: "text/x-older"})
	if err != nil {
		return err
	}
	id := first.Get("X-Object-Version-Id")
	if id == "" {
		return fmt.Errorf("upload to %s/%s: the container keeps versions, and the answer names none", in, storyName)
	}
	if err := c.memory.Save(ctx, map[string]string{keyStory: id}); err != nil {
		return err
	}
	_, err = put(ctx, owner, in, storyName, a.newer, objects.CreateOpts{ContentType: "text/x-newer"})
	return err
}

// makeTempURL signs a URL that needs no token: it must work on after the upgrade.
func (c *check) makeTempURL(ctx context.Context, owner *gophercloud.ServiceClient, can *features, _ *asked) error {
	if !can.TempURL {
		return nil
	}
	key, err := resources.Secret()
	if err != nil {
		return err
	}
	in := c.container(private)
	if err := containers.Update(ctx, owner, in, containers.UpdateOpts{TempURLKey: key}).Err; err != nil {
		return fmt.Errorf("set the key of container %s's temporary URLs: %w", in, err)
	}
	signed, err := objects.CreateTempURL(ctx, owner, in, secretName, objects.CreateTempURLOpts{
		Method: objects.GET, TTL: int(tempURLLife.Seconds()), TempURLKey: key, Digest: "sha256",
	})
	if err != nil {
		return fmt.Errorf("sign a temporary URL of %s/%s: %w", in, secretName, err)
	}
	_, query, _ := strings.Cut(signed, "?")
	return c.memory.Save(ctx, map[string]string{keyTempURL: query})
}

// makeBench makes what verify works on after the upgrade.
func (c *check) makeBench(ctx context.Context, friend *gophercloud.ServiceClient) error {
	in := c.container(bench)
	if err := makeContainer(ctx, friend, in, containers.CreateOpts{Metadata: metadata()}); err != nil {
		return err
	}
	text, err := resources.Secret()
	if err != nil {
		return err
	}
	if err := c.memory.Save(ctx, map[string]string{keyScratch: text}); err != nil {
		return err
	}
	_, err = put(ctx, friend, in, scratchName, data{bytes: []byte(text)}, objects.CreateOpts{ContentType: "text/plain"})
	return err
}
