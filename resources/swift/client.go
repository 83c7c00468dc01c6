package swift

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/objects"

	"grenade/resources"
)

// projectTemplate stands for the project in an endpoint, as in keystone's
// endpoint templates; an override of the cloud's may have it, too.
const projectTemplate = "$(project_id)s"

// client is the API of one project's swift account: ".../v1/AUTH_<project>/".
func (c *check) client(provider *gophercloud.ProviderClient, project string) (*gophercloud.ServiceClient, error) {
	client, err := c.cloud.Service(provider, serviceType, "")
	if err != nil {
		return nil, err
	}
	client.Endpoint = strings.ReplaceAll(client.Endpoint, projectTemplate, project)
	return client, nil
}

// accountOf is the name of the swift account that a client works on.
func accountOf(client *gophercloud.ServiceClient) string {
	return path.Base(client.Endpoint)
}

// address is the URL of a container or object; query may be empty.
func address(client *gophercloud.ServiceClient, query string, names ...string) string {
	for i := range names {
		names[i] = url.PathEscape(names[i])
	}
	at := strings.TrimSuffix(client.Endpoint, "/")
	if len(names) > 0 {
		at += "/" + strings.Join(names, "/")
	}
	if query != "" {
		at += "?" + query
	}
	return at
}

// ofTheAnswer are header lines that say nothing of the object, with the reason
// for which they are not compared.
func ofTheAnswer() map[string]string {
	return map[string]string{
		"date":                   "when the answer was given",
		"x-trans-id":             "the number of the request",
		"x-openstack-request-id": "the number of the request",
		"connection":             "what becomes of the connection",
		"keep-alive":             "what becomes of the connection",
	}
}

// keyOfURLs ends the names of the metadata that hold the key of temporary URLs.
const keyOfURLs = "temp-url-key"

// setByUsers matches the header lines that are there because somebody set them:
// metadata, lists of who may read and write.
var setByUsers = regexp.MustCompile(`^x-(account|container|object)-(meta-.*|read|write)$`)

// headers are an answer's header lines by name in lower case, without those of
// the one answer. Of a key only the hash is kept: what differs is printed. The names
// of those that users have set are listed, too: a line that appears may be what a new
// release shows, but not one of these.
func headers(header http.Header) map[string]any {
	kept, passing, users := map[string]any{}, ofTheAnswer(), []string{}
	for name, values := range header {
		name = strings.ToLower(name)
		if _, ok := passing[name]; ok {
			continue
		}
		value := strings.Join(values, ", ")
		if strings.HasSuffix(name, keyOfURLs) {
			value = "sha256:" + data{bytes: []byte(value)}.hashed().sha
		}
		kept[name] = value
		if setByUsers.MatchString(name) {
			users = append(users, name)
		}
	}
	slices.Sort(users)
	kept["set_by_users"] = users
	return kept
}

// get fetches a JSON document. No content is nil.
func get(ctx context.Context, client *gophercloud.ServiceClient, at string) (any, error) {
	var body any
	_, err := client.Get(ctx, at, &body, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK, http.StatusNoContent}}) //nolint:bodyclose // closed by gophercloud once decoded
	return body, err                                                                                                    //nolint:wrapcheck // names method and URL, and its type says whether it is a finding
}

// listing returns what an account or a container lists, whole: each entry with
// its name as id, and its version if it has one. Swift lists up to 10000 names in
// one answer, and this check makes a few.
func listing(ctx context.Context, client *gophercloud.ServiceClient, query string, names ...string) ([]map[string]any, error) {
	if query != "" {
		query = "&" + query
	}
	body, err := get(ctx, client, address(client, "format=json"+query, names...))
	if err != nil {
		return nil, err
	}
	list, ok := body.([]any)
	if !ok && body != nil {
		return nil, fmt.Errorf("list %s: the answer is %T, wanted a list", strings.Join(names, "/"), body)
	}
	entries := make([]map[string]any, 0, len(list))
	for _, element := range list {
		entry, ok := element.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("list %s: an entry is %T, wanted an object", strings.Join(names, "/"), element)
		}
		entry["id"] = entry["name"]
		if version, ok := entry["version_id"].(string); ok {
			entry["id"] = fmt.Sprint(entry["name"], "?", version)
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// content is what is compared of a download.
type content struct {
	resources.File
	// Headers are those of the answer.
	Headers map[string]any `json:"headers"`
}

// download reads an object to its end. What swift says of the object (that it is
// in quarantine, that a segment is missing) is a finding; so is a stream that
// ends too early.
func download(ctx context.Context, client *gophercloud.ServiceClient, container, object string, opts objects.DownloadOpts) (_ *content, err error) {
	result := objects.Download(ctx, client, container, object, opts)
	if result.Err != nil {
		return nil, finding(result.Err)
	}
	return read(result.Body, result.Header, container+"/"+object)
}

func read(body io.ReadCloser, header http.Header, name string) (_ *content, err error) {
	defer func() { err = errors.Join(err, body.Close()) }()
	hash := sha256.New()
	size, err := io.Copy(hash, body)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, &resources.Gone{What: fmt.Sprintf("the download breaks off after %d bytes", size)}
	}
	if err != nil {
		return nil, fmt.Errorf("download %s, after %d bytes: %w", name, size, err)
	}
	return &content{
		File:    resources.File{Size: size, SHA256: hex.EncodeToString(hash.Sum(nil))},
		Headers: headers(header),
	}, nil
}

// finding turns an answer about the object itself into what is seen of it.
func finding(err error) error {
	for _, status := range []int{http.StatusConflict, http.StatusUnprocessableEntity, http.StatusRequestedRangeNotSatisfiable} {
		if gophercloud.ResponseCodeIs(err, status) {
			return &resources.Gone{What: err.Error()}
		}
	}
	return err
}

// status is what a request that may be refused is answered with.
func status(err error) (any, error) {
	var answer gophercloud.ErrUnexpectedResponseCode
	switch {
	case err == nil:
		return map[string]any{"status": http.StatusOK}, nil
	case errors.As(err, &answer) && answer.Actual < http.StatusInternalServerError:
		return map[string]any{"status": answer.Actual}, nil
	}
	return nil, err
}
