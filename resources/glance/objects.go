package glance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/members"

	"grenade/resources"
)

// session is what one phase needs: both users, logged in afresh.
type session struct {
	owner, member *gophercloud.ServiceClient
	image         string // id
	memberProject string // id
}

func (c *check) open(ctx context.Context) (*session, error) {
	s := &session{}
	var err error
	if s.image, err = c.memory.Get(keyImage); err != nil {
		return nil, err
	}
	if s.memberProject, err = c.member().ProjectID(); err != nil {
		return nil, err
	}
	if s.owner, err = c.imageClient(ctx, c.owner()); err != nil {
		return nil, err
	}
	if s.member, err = c.imageClient(ctx, c.member()); err != nil {
		return nil, err
	}
	return s, nil
}

// versions is the address of glance's version document.
func (s *session) versions() string { return s.owner.Endpoint + "versions" }

// objects lists everything that is compared through the API. want is nil but at
// create.
func (s *session) objects(want *asked) []resources.Object {
	if want == nil {
		want = &asked{}
	}
	var data map[string]any
	if want.data.SHA256 != "" {
		data = map[string]any{"size": want.data.Size, "sha256": want.data.SHA256}
	}
	return []resources.Object{
		{Name: "image", Fetch: s.show(s.owner), Asked: want.image},
		{Name: "image_seen_by_member", Fetch: s.show(s.member), Asked: want.image},
		{Name: "members", Fetch: s.members},
		{Name: "shared_images_of_member", Fetch: s.sharedWithMember, Asked: map[string]any{"": []string{s.image}}},
		{Name: "download", Fetch: s.download(s.owner), Asked: data},
		{Name: "download_by_member", Fetch: s.download(s.member), Asked: data},
	}
}

func (s *session) show(client *gophercloud.ServiceClient) func(context.Context) (any, error) {
	return func(ctx context.Context) (any, error) {
		return resources.Body(images.Get(ctx, client, s.image).Result)
	}
}

// members are keyed by project: the API gives them no id of their own.
func (s *session) members(ctx context.Context) (any, error) {
	list, err := resources.Collection(ctx, members.List(s.owner, s.image), "members")
	if err != nil {
		return nil, err
	}
	for _, member := range list {
		member["id"] = member["member_id"]
	}
	return list, nil
}

// sharedWithMember is what the second user finds when he looks for images that
// others share with him and that he accepted.
func (s *session) sharedWithMember(ctx context.Context) (any, error) {
	list, err := resources.Collection(ctx, images.List(s.member, images.ListOpts{
		Visibility: images.ImageVisibilityShared, MemberStatus: images.ImageMemberStatusAccepted,
	}), "images")
	if err != nil {
		return nil, err
	}
	ids := []any{}
	for _, image := range list {
		ids = append(ids, image["id"])
	}
	return ids, nil
}

// download reads the image to its end and keeps size and hash.
func (s *session) download(client *gophercloud.ServiceClient) func(context.Context) (any, error) {
	return func(ctx context.Context) (_ any, err error) {
		result := imagedata.Download(ctx, client, s.image)
		if gophercloud.ResponseCodeIs(result.Err, http.StatusNoContent) {
			// Image API v2, "Download binary image data": there is no data.
			return nil, &resources.Gone{What: "HTTP 204: the image has no data"}
		}
		if result.Err != nil {
			return nil, result.Err
		}
		defer func() { err = errors.Join(err, result.Body.Close()) }()
		hash := sha256.New()
		size, err := io.Copy(hash, result.Body)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			// The service promised more than it had: a finding, not a fault of ours.
			return nil, &resources.Gone{What: fmt.Sprintf("download breaks off after %d bytes", size)}
		}
		if err != nil {
			return nil, fmt.Errorf("download image %s, after %d bytes: %w", s.image, size, err)
		}
		return resources.File{Size: size, SHA256: hex.EncodeToString(hash.Sum(nil))}, nil
	}
}
