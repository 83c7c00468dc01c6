package swift

import (
	"context"
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

// listedWithin is how long a container may take to list a new object: the object
// server waits a second for the container server, and then lets it come later.
const listedWithin = time.Minute

func (s *session) container(what string) string { return s.check.container(what) }

// objects lists everything that is compared through the API. want is nil but at
// create.
func (s *session) objects(want *asked) []resources.Object {
	list := []resources.Object{s.account(), s.containersOf()}
	list = append(list, s.containers(want)...)
	list = append(list, s.plain(want)...)
	list = append(list, s.large(want)...)
	list = append(list, s.optional(want)...)
	return append(list, s.rights(want)...)
}

// account is what swift tells about the account: its metadata and totals.
func (s *session) account() resources.Object {
	return resources.Object{
		Name: "account",
		Fetch: func(ctx context.Context) (any, error) {
			seen := accounts.Get(ctx, s.owner, nil)
			return headers(seen.Header), seen.Err
		},
		Tolerated: s.totals("x-account-object-count", "x-account-bytes-used", "x-account-storage-policy-*"),
		Asked:     prefixed("x-account-meta-", metadata()),
	}
}

// containersOf is the account's list of its containers.
func (s *session) containersOf() resources.Object {
	return resources.Object{
		Name: "containers",
		Fetch: func(ctx context.Context) (any, error) {
			list, err := listing(ctx, s.owner, "")
			return anyList(list), err
		},
		Tolerated: s.totals("[*].count", "[*].bytes"),
	}
}

func (s *session) ownContainers() []string {
	own := []string{box, private, segments}
	if s.features.Versions {
		own = append(own, versions)
	}
	return own
}

// containers are what swift tells of each container, and lists in it.
func (s *session) containers(want *asked) []resources.Object {
	var list []resources.Object
	for _, what := range s.ownContainers() {
		name := s.container(what)
		head := resources.Object{Name: "container_" + what, Fetch: func(ctx context.Context) (any, error) {
			seen := containers.Get(ctx, s.owner, name, nil)
			return headers(seen.Header), seen.Err
		}}
		if what == box {
			head.Asked = prefixed("x-container-meta-", metadata())
			if want != nil {
				head.Asked["x-container-read"] = want.acl
			}
		}
		list = append(list, head, resources.Object{Name: "list_" + what, Fetch: func(ctx context.Context) (any, error) {
			list, err := listing(ctx, s.owner, "", name)
			return anyList(list), err
		}})
	}
	return list
}

// plain are the objects that consist of one file.
func (s *session) plain(want *asked) []resources.Object {
	whole := s.fetch(s.owner, s.container(box), objectName, objects.DownloadOpts{})
	part := s.fetch(s.owner, s.container(box), objectName, objects.DownloadOpts{Range: "bytes=65535-131072"})
	list := []resources.Object{
		{Name: "object", Fetch: whole},
		{Name: "part_of_object", Fetch: part},
		{Name: "empty", Fetch: s.fetch(s.owner, s.container(box), emptyName, objects.DownloadOpts{})},
		{Name: "secret", Fetch: s.fetch(s.owner, s.container(private), secretName, objects.DownloadOpts{})},
	}
	if want == nil {
		return list
	}
	list[0].Asked = prefixed("headers.x-object-meta-", metadata())
	for attribute, value := range map[string]any{
		"content-type": "application/x-grenade", "content-disposition": `attachment; filename="before.bin"`, "cache-control": "max-age=86400",
		"etag": want.object.md5,
	} {
		list[0].Asked["headers."+attribute] = value
	}
	holds(&list[0], want.object)
	holds(&list[1], want.object.part(65535, 131073))
	list[2].Asked = prefixed("headers.x-object-meta-", metadata())
	list[2].Asked["headers.content-type"] = "text/plain; charset=UTF-8"
	holds(&list[2], want.empty)
	holds(&list[3], want.secret)
	return list
}

// large are the objects that consist of segments.
func (s *session) large(want *asked) []resources.Object {
	var list []resources.Object
	in := s.container(private)
	// From the last bytes of the first segment to the first of the second.
	const from, to = segmentSize - 100, segmentSize + 100
	if s.features.Large {
		manifest := address(s.owner, "multipart-manifest=get&format=json", in, largeName)
		whole := resources.Object{Name: "large", Fetch: s.fetch(s.owner, in, largeName, objects.DownloadOpts{})}
		across := resources.Object{Name: "large_across_segments", Fetch: s.fetch(s.owner, in, largeName, objects.DownloadOpts{Range: fmt.Sprintf("bytes=%d-%d", from, to-1)})}
		if want != nil {
			all := join(want.large...)
			whole.Asked = map[string]any{"headers.content-type": "video/x-grenade", "headers.x-static-large-object": "True"}
			holds(&whole, all)
			holds(&across, all.part(from, to))
		}
		list = append(list, whole, across, resources.Object{Name: "large_manifest", Fetch: func(ctx context.Context) (any, error) {
			body, err := get(ctx, s.owner, manifest)
			return named(body), err
		}})
	}
	if s.features.Dynamic {
		whole := resources.Object{Name: "dynamic", Fetch: s.fetch(s.owner, in, dynamicName, objects.DownloadOpts{})}
		if want != nil {
			whole.Asked = map[string]any{"headers.content-type": "audio/x-grenade", "headers.x-object-manifest": s.container(segments) + "/" + dynamicName + "/"}
			holds(&whole, join(want.dynamic...))
		}
		list = append(list, whole)
	}
	return list
}

// optional are the objects of what not every cluster has switched on.
func (s *session) optional(want *asked) []resources.Object {
	var list []resources.Object
	if s.features.Symlink {
		link := resources.Object{Name: "link", Fetch: s.fetch(s.owner, s.container(box), linkName, objects.DownloadOpts{})}
		if want != nil {
			holds(&link, want.object)
		}
		list = append(list, link)
	}
	if s.features.Versions {
		in := s.container(versions)
		newer := resources.Object{Name: "story", Fetch: s.fetch(s.owner, in, storyName, objects.DownloadOpts{})}
		older := resources.Object{Name: "story_overwritten", Fetch: s.fetch(s.owner, in, storyName, objects.DownloadOpts{ObjectVersionID: s.saved[keyStory]})}
		if want != nil {
			newer.Asked, older.Asked = map[string]any{"headers.content-type": "text/x-newer"}, map[string]any{"headers.content-type": "text/x-older"}
			holds(&newer, want.newer)
			holds(&older, want.older)
		}
		list = append(list, newer, older, resources.Object{Name: "story_versions", Fetch: func(ctx context.Context) (any, error) {
			list, err := listing(ctx, s.owner, "versions=true", in)
			return anyList(list), err
		}})
	}
	if s.features.TempURL {
		url := resources.Object{Name: "secret_by_temporary_url", Fetch: func(ctx context.Context) (any, error) {
			return s.without(ctx, address(s.owner, s.saved[keyTempURL], s.container(private), secretName))
		}}
		if want != nil {
			holds(&url, want.secret)
		}
		list = append(list, url)
	}
	return list
}

// rights are who may do what: the friend may read and list the box, and nothing
// else; nobody may do anything without a token.
func (s *session) rights(want *asked) []resources.Object {
	mine := foreign(s.friend, accountOf(s.owner))
	read := resources.Object{Name: "object_read_by_friend", Fetch: s.fetch(mine, s.container(box), objectName, objects.DownloadOpts{})}
	if want != nil {
		holds(&read, want.object)
	}
	refused := func(name string, code int, try func(ctx context.Context) error) resources.Object {
		object := resources.Object{Name: name, Fetch: func(ctx context.Context) (any, error) { return status(try(ctx)) }}
		if want != nil {
			object.Asked = map[string]any{"status": code}
		}
		return object
	}
	return []resources.Object{
		read,
		{Name: "box_listed_by_friend", Fetch: func(ctx context.Context) (any, error) {
			list, err := listing(ctx, mine, "", s.container(box))
			return anyList(list), err
		}},
		refused("friend_reads_private", http.StatusForbidden, func(ctx context.Context) error {
			_, err := download(ctx, mine, s.container(private), secretName, objects.DownloadOpts{})
			return err
		}),
		refused("friend_writes_into_box", http.StatusForbidden, func(ctx context.Context) error {
			return objects.Create(ctx, mine, s.container(box), "intruder", objects.CreateOpts{Content: strings.NewReader("was here")}).Err
		}),
		refused("friend_lists_account", http.StatusForbidden, func(ctx context.Context) error {
			_, err := listing(ctx, mine, "")
			return err
		}),
		refused("nobody_reads_box", http.StatusUnauthorized, func(ctx context.Context) error {
			_, err := s.without(ctx, address(s.owner, "", s.container(box), objectName))
			return err
		}),
	}
}

// fetch downloads when it is called.
func (s *session) fetch(client *gophercloud.ServiceClient, container, object string, opts objects.DownloadOpts) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		content, err := download(ctx, client, container, object, opts)
		if err != nil {
			return nil, err
		}
		return content, nil
	}
}

// without reads a URL without a token.
func (s *session) without(ctx context.Context, at string) (*content, error) {
	provider, err := s.check.cloud.WithToken("")
	if err != nil {
		return nil, err
	}
	answer, err := provider.Request(ctx, http.MethodGet, at, &gophercloud.RequestOpts{KeepResponseBody: true, OkCodes: []int{http.StatusOK}}) //nolint:bodyclose // read closes it
	if err != nil {
		return nil, finding(err)
	}
	return read(answer.Body, answer.Header, at)
}

// holds adds to what is asked of a download.
func holds(object *resources.Object, content data) {
	if object.Asked == nil {
		object.Asked = map[string]any{}
	}
	object.Asked["size"], object.Asked["sha256"] = len(content.bytes), content.sha
}

func prefixed(prefix string, values map[string]string) map[string]any {
	asked := map[string]any{}
	for name, value := range values {
		asked[prefix+strings.ToLower(name)] = value
	}
	return asked
}

func anyList(list []map[string]any) []any {
	all := make([]any, 0, len(list))
	for _, each := range list {
		all = append(all, each)
	}
	return all
}

// named gives each segment of a manifest an id, so that a change says which.
func named(body any) any {
	list, ok := body.([]any)
	if !ok {
		return body
	}
	for _, each := range list {
		if segment, ok := each.(map[string]any); ok {
			segment["id"] = segment["name"]
		}
	}
	return body
}

// awaitListings waits until every container lists what was put into it: object
// servers may tell container servers a moment later.
func (s *session) awaitListings(ctx context.Context, want *asked) error {
	count := map[string]int{box: 2, private: 1, segments: len(want.large) + len(want.dynamic)}
	add := func(is bool, to string) {
		if is {
			count[to]++
		}
	}
	add(s.features.Symlink, box)
	add(s.features.Large, private)
	add(s.features.Dynamic, private)
	add(s.features.Versions, versions)
	for _, what := range s.ownContainers() {
		name := s.container(what)
		if err := awaitListing(ctx, s.owner, name, "", count[what]); err != nil {
			return err
		}
		if what == versions {
			if err := awaitListing(ctx, s.owner, name, "versions=true", 2*count[what]); err != nil {
				return err
			}
		}
	}
	return nil
}

func awaitListing(ctx context.Context, client *gophercloud.ServiceClient, container, query string, count int) error {
	return resources.WaitFor(ctx, resources.Wait{Object: fmt.Sprintf("container %s to list %d objects", container, count), Limit: listedWithin},
		func(ctx context.Context) (resources.Progress, error) {
			list, err := listing(ctx, client, query, container)
			return resources.Progress{Status: fmt.Sprintf("%d listed", len(list)), Done: len(list) == count}, err
		})
}
