//go:build cloud

package native_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	. "github.com/onsi/gomega"

	"grenade/resources"
)

const (
	swiftObject = "Größe/升级 100%.bin"
	swiftFile   = "file_of box/" + swiftObject
)

// swift sends one request as the owner. path is container and object; what
// begins with "box", "private", … gets the container's whole name.
func (b breaker) swift(method, path, query string, body []byte, headers ...string) {
	b.t.Helper()
	g, ctx := NewWithT(b.t), context.WithoutCancel(b.t.Context())
	owner := resources.Account{Cloud: b.cloud, Memory: b.cloud.Memory("swift"), Name: "owner"}
	provider, err := owner.Login(ctx)
	g.Expect(err).NotTo(HaveOccurred())
	client, err := b.cloud.Service(provider, "object-store", "")
	g.Expect(err).NotTo(HaveOccurred())
	options := gophercloud.RequestOpts{MoreHeaders: map[string]string{}, OkCodes: []int{http.StatusCreated, http.StatusAccepted, http.StatusNoContent}}
	if method == http.MethodPut {
		options.RawBody = strings.NewReader(string(body))
	}
	for i := 0; i+1 < len(headers); i += 2 {
		options.MoreHeaders[headers[i]] = headers[i+1]
	}
	at := client.Endpoint
	if path != "" {
		container, object, _ := strings.Cut(path, "/")
		at += swiftContainer(b, container)
		if object != "" {
			at += "/" + url.PathEscape(object)
		}
	}
	if query != "" {
		at += "?" + query
	}
	_, err = provider.Request(ctx, method, at, &options) //nolint:bodyclose // gophercloud closes what is not asked for
	g.Expect(err).NotTo(HaveOccurred(), "the mutation itself")
}

func swiftContainer(b breaker, what string) string {
	return resources.ResourceName(b.cloud.Tag, "native-swift", what)
}

// stored is the path of a file or database on the node's disk, quoted for bash.
func (b breaker) stored(name string) string {
	b.t.Helper()
	var saved struct {
		Path string `json:"path"`
	}
	NewWithT(b.t).Expect(json.Unmarshal([]byte(b.saved["saved."+name]), &saved)).To(Succeed(), name)
	NewWithT(b.t).Expect(saved.Path).NotTo(BeEmpty())
	return "'" + saved.Path + "'"
}

// sqlite changes a container's or account's database. Its triggers let no row be
// updated, and call a function of swift's whose result matters only between replicas.
func (b breaker) sqlite(name, statement string) {
	b.t.Helper()
	b.inside.shell(b.t, `python3 - `+b.stored(name)+` <<'END'
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=10)
database.create_function("chexor", 3, lambda old, name, timestamp: old)
database.executescript("""`+statement+`""")
END`)
}

func swiftMutations() []mutation {
	const project = "swift"
	return append(swiftAPIMutations(project), swiftDiskMutations(project)...)
}

func swiftAPIMutations(project string) []mutation {
	request := func(method, path, query string, body []byte, headers ...string) func(breaker) {
		return func(b breaker) { b.swift(method, path, query, body, headers...) }
	}
	object := "box/" + swiftObject
	return []mutation{
		{project: project, name: "everybody may read", change: request("POST", "box", "", nil, "X-Container-Read", ".r:*"),
			api: []string{"container_box.x-container-read", "nobody_reads_box.status"}, noapi: []string{"database_of box.metadata.X-Container-Read"}},
		{project: project, name: "the friend may not read any more", change: request("POST", "box", "", nil, "X-Remove-Container-Read", "x"),
			api:   []string{"container_box.x-container-read", "object_read_by_friend", "box_listed_by_friend"},
			noapi: []string{"database_of box.metadata.X-Container-Read"}},
		{project: project, name: "the friend may read more", change: func(b breaker) {
			b.swift("POST", "private", "", nil, "X-Container-Read", b.saved["friend.project_id"]+":*")
		}, api: []string{"friend_reads_private.status", "container_private.set_by_users"}, noapi: []string{"database_of private.metadata.X-Container-Read"}},
		{project: project, name: "the friend may write", change: func(b breaker) {
			b.swift("POST", "box", "", nil, "X-Container-Write", b.saved["friend.project_id"]+":*")
		}, api: []string{"friend_writes_into_box.status", "container_box.set_by_users"}},
		{project: project, name: "account's metadata changed", change: request("POST", "", "", nil, "X-Account-Meta-Note", "x"),
			api: []string{"account.x-account-meta-note"}, noapi: []string{"account_database.metadata.X-Account-Meta-Note"}},
		{project: project, name: "container's metadata removed", change: request("POST", "box", "", nil, "X-Remove-Container-Meta-Note", "x"),
			api: []string{"container_box.x-container-meta-note"}, noapi: []string{"database_of box.metadata.X-Container-Meta-Note"}},
		{project: project, name: "object's metadata changed", change: request("POST", object, "", nil, "X-Object-Meta-Note", "x"),
			api:   []string{"object.headers.x-object-meta-note", "object.headers.x-object-meta-origin", "object.headers.content-disposition"},
			noapi: []string{swiftFile + ".later.*"}},
		{project: project, name: "object's type changed", change: request("POST", object, "", nil, "Content-Type", "text/plain"),
			api: []string{"object.headers.content-type", "list_box[*].content_type"}, noapi: []string{"database_of box.objects[*].*"}},
		{project: project, name: "object overwritten with as many bytes", change: func(b breaker) {
			b.swift("PUT", object, "", make([]byte, 1<<20+517), "Content-Type", "application/x-grenade")
		}, api: []string{"object.sha256", "object.headers.etag", "object.headers.x-timestamp", "list_box[*].hash", "link.sha256", "object_read_by_friend.sha256"},
			noapi: []string{swiftFile + ".sha256", swiftFile + ".path", "database_of box.objects[*].etag"}},
		{project: project, name: "object deleted", change: request("DELETE", object, "", nil),
			api: []string{"object", "link", "list_box[]", "container_box.x-container-object-count"}, noapi: []string{swiftFile, "database_of box.objects[]"}},
		{project: project, name: "object added", change: request("PUT", "box/more", "", []byte("more")),
			api: []string{"list_box[]", "container_box.x-container-bytes-used"}},
		{project: project, name: "container added", change: request("PUT", "more", "", nil),
			api: []string{"containers[]", "account.x-account-container-count"}},
		{project: project, name: "link leads elsewhere", change: func(b breaker) {
			b.swift("PUT", "box/link", "", nil, "X-Symlink-Target", swiftContainer(b, "box")+"/empty")
		}, api: []string{"link.sha256"}, noapi: []string{"file_of box/link.metadata.*"}},
		{project: project, name: "segment deleted", change: request("DELETE", "segments/large/1", "", nil),
			api: []string{"large", "list_segments[]"}, noapi: []string{"file_of segments/large/1", "database_of segments.objects[]"}},
		{project: project, name: "segment overwritten with as many bytes", change: request("PUT", "segments/dynamic/0", "", make([]byte, 1<<17+211)),
			api: []string{"dynamic.sha256", "list_segments[*].hash"}, noapi: []string{"file_of segments/dynamic/0.sha256"}},
		{project: project, name: "manifest altered", change: func(b breaker) {
			manifest := []map[string]string{{"path": "/" + swiftContainer(b, "segments") + "/large/0"}, {"path": "/" + swiftContainer(b, "segments") + "/large/2"}}
			text, err := json.Marshal(manifest)
			NewWithT(b.t).Expect(err).NotTo(HaveOccurred())
			b.swift("PUT", "private/large", "multipart-manifest=put", text, "Content-Type", "video/x-grenade")
		}, api: []string{"large.size", "large_manifest[]", "large.headers.etag"}, noapi: []string{"file_of private/large.sha256"}},
		{project: project, name: "dynamic object has other segments", change: func(b breaker) {
			b.swift("PUT", "private/dynamic", "", nil, "X-Object-Manifest", swiftContainer(b, "segments")+"/large/")
		}, api: []string{"dynamic.size", "dynamic.headers.x-object-manifest"}, noapi: []string{"file_of private/dynamic.metadata.X-Object-Manifest"}},
		{project: project, name: "old version deleted", change: func(b breaker) {
			b.swift("DELETE", "versions/story", "version-id="+b.saved["story_version"], nil)
		}, api: []string{"story_overwritten", "story_versions[]"}, noapi: []string{"file_of ·versions·versions/*", "database_of ·versions·versions.objects[]"}},
		{project: project, name: "versions are not kept any more", change: request("POST", "versions", "", nil, "X-Versions-Enabled", "false"),
			api: []string{"container_versions.x-versions-enabled"}},
		{project: project, name: "key of temporary URLs changed", change: request("POST", "private", "", nil, "X-Container-Meta-Temp-URL-Key", "another"),
			api:   []string{"secret_by_temporary_url", "container_private.x-container-meta-temp-url-key"},
			noapi: []string{"database_of private.metadata.*"}},
	}
}

func swiftDiskMutations(project string) []mutation {
	shell := func(format func(path string) string, name string) func(breaker) {
		return func(b breaker) { b.inside.shell(b.t, format(b.stored(name))) }
	}
	flip := func(path string) string {
		return "printf corrupted | dd of=" + path + " bs=1 seek=70000 conv=notrunc status=none"
	}
	cut := func(path string) string { return "truncate --size=-1 " + path }
	away := func(path string) string { return "mv " + path + " " + path + ".away" }
	back := func(path string) string { return "mv " + path + ".away " + path }
	damage := func(path string) string {
		return `python3 -c 'import os, sys
raw = bytearray(os.getxattr(sys.argv[1], "user.swift.metadata")); raw[40] ^= 1; os.setxattr(sys.argv[1], "user.swift.metadata", bytes(raw))' ` + path
	}
	return []mutation{
		// Once swift has read a corrupted file, it puts it aside: so one mutation looks at the disk, another asks swift.
		{project: project, name: "file corrupted", change: shell(flip, swiftFile), noapi: []string{swiftFile + ".sha256"}},
		{project: project, name: "file corrupted, as swift sees it", change: shell(flip, swiftFile), api: []string{"object*"}},
		{project: project, name: "file cut", change: shell(cut, swiftFile), noapi: []string{swiftFile + ".size"}},
		{project: project, name: "file cut, as swift sees it", change: shell(cut, swiftFile), api: []string{"object", "link"}},
		{project: project, name: "file gone", change: shell(away, swiftFile), undo: shell(back, swiftFile), api: []string{"object"}, noapi: []string{swiftFile}},
		{project: project, name: "segment's file corrupted, as swift sees it", change: shell(flip, "file_of segments/large/1"), api: []string{"large*"}},
		{project: project, name: "overwritten version's file gone", change: func(b breaker) {
			for name := range b.saved {
				if strings.HasPrefix(name, "saved.file_of ·versions·versions/") {
					b.inside.shell(b.t, away(b.stored(strings.TrimPrefix(name, "saved."))))
				}
			}
		}, undo: func(b breaker) {
			for name := range b.saved {
				if strings.HasPrefix(name, "saved.file_of ·versions·versions/") {
					b.inside.shell(b.t, back(b.stored(strings.TrimPrefix(name, "saved."))))
				}
			}
		}, api: []string{"story", "story_overwritten"}, noapi: []string{"file_of ·versions·versions/*"}},
		{project: project, name: "file's metadata damaged", change: shell(damage, swiftFile), noapi: []string{swiftFile + ".metadata.*"}},
		{project: project, name: "file's metadata damaged, as swift sees it", change: shell(damage, swiftFile), api: []string{"object"}},
		{project: project, name: "object's row removed", change: func(b breaker) {
			b.sqlite("database_of box", "DELETE FROM object WHERE name = 'empty'")
		}, undo: func(b breaker) { b.swift("DELETE", "box/empty", "", nil) },
			api: []string{"list_box[]", "container_box.x-container-object-count"}, noapi: []string{"database_of box.objects[]"}},
		{project: project, name: "object's row changed", change: func(b breaker) {
			b.sqlite("database_of private", `CREATE TEMP TABLE kept AS SELECT * FROM object WHERE name = 'secret';
				DELETE FROM object WHERE name = 'secret';
				INSERT INTO object (name, created_at, size, content_type, etag) SELECT name, created_at, size, content_type, 'x' FROM kept`)
		}, api: []string{"list_private[secret].hash"}, noapi: []string{"database_of private.objects[secret].etag"}},
		{project: project, name: "account's totals changed", change: func(b breaker) {
			b.sqlite("account_database", "UPDATE account_stat SET bytes_used = bytes_used + 1")
		}, api: []string{"account.x-account-bytes-used"}, noapi: []string{"account_database.info.bytes_used"}},
		{project: project, name: "container's row removed from the account", change: func(b breaker) {
			b.sqlite("account_database", "DELETE FROM container WHERE name LIKE '%segments'")
		}, undo: func(b breaker) { b.swift("PUT", "segments", "", nil) },
			api: []string{"containers[]"}, noapi: []string{"account_database.containers[]"}},
		{project: project, name: "container's database gone", change: shell(away, "database_of segments"), undo: shell(back, "database_of segments"),
			api: []string{"container_segments", "list_segments"}, noapi: []string{"database_of segments"}},
	}
}
