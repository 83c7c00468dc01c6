package swift

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/containers"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/objects"

	"grenade/resources"
)

// What the new code has to do, after the comparison: write, read, overwrite,
// copy and delete, in a container that is older than it and in one that it makes.
// All of it is the friend's, whose account is not compared to the byte, and all of
// it is undone.

// fresh is the container that verify makes, and the object's name in both.
const fresh = "after"

// afterwards works, and undoes its work.
func (s *session) afterwards(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, s.removeAfterwards(ctx)) }()
	name := s.container(fresh)
	if err := makeContainer(ctx, s.friend, name, containers.CreateOpts{Metadata: metadata()}); err != nil {
		return err
	}
	seen := containers.Get(ctx, s.friend, name, nil)
	if seen.Err != nil {
		return fmt.Errorf("look at new container %s: %w", name, seen.Err)
	}
	for attribute, value := range prefixed("x-container-meta-", metadata()) {
		if got := headers(seen.Header)[attribute]; got != value {
			return s.unlike("new container's "+attribute, value, got)
		}
	}
	for _, in := range []string{name, s.container(bench)} {
		if err := s.writeIn(ctx, in); err != nil {
			return err
		}
	}
	for _, step := range []func(context.Context) error{s.rewrite, s.copyForeign, s.letIn} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// writeIn writes an object, reads it, overwrites it, reads it, and deletes it.
func (s *session) writeIn(ctx context.Context, in string) error {
	for range 2 {
		content, err := newData(segmentSize)
		if err != nil {
			return err
		}
		if _, err := put(ctx, s.friend, in, fresh, content, objects.CreateOpts{ContentType: "application/x-after", Metadata: metadata()}); err != nil {
			return err
		}
		if err := s.reads(ctx, "new object in "+in, in, fresh, content); err != nil {
			return err
		}
	}
	if err := awaitEntry(ctx, s.friend, in, fresh, true); err != nil {
		return err
	}
	if err := remove(ctx, s.friend, in, fresh); err != nil {
		return err
	}
	return awaitEntry(ctx, s.friend, in, fresh, false)
}

// reads compares a download with what was written.
func (s *session) reads(ctx context.Context, what, in, name string, want data) error {
	seen, err := download(ctx, s.friend, in, name, objects.DownloadOpts{})
	if err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	if seen.SHA256 != want.sha || seen.Size != int64(len(want.bytes)) {
		return s.unlike(what, fmt.Sprintf("%d bytes, sha256 %s", len(want.bytes), want.sha), fmt.Sprintf("%d bytes, sha256 %s", seen.Size, seen.SHA256))
	}
	return nil
}

// rewrite overwrites an object that the old code wrote, and writes the old
// content again. A verify that was killed between the two has left the other
// content, which then is as good.
func (s *session) rewrite(ctx context.Context) error {
	in, old := s.container(bench), data{bytes: []byte(s.saved[keyScratch])}.hashed()
	other := data{bytes: []byte("overwritten: " + s.saved[keyScratch])}.hashed()
	if err := s.reads(ctx, "object written before", in, scratchName, old); err != nil {
		if s.reads(ctx, "", in, scratchName, other) != nil {
			return err
		}
	}
	for _, content := range []data{other, old} {
		if _, err := put(ctx, s.friend, in, scratchName, content, objects.CreateOpts{ContentType: "text/plain"}); err != nil {
			return err
		}
		if err := s.reads(ctx, "overwritten object", in, scratchName, content); err != nil {
			return err
		}
	}
	return nil
}

// copyForeign copies the owner's object, which the friend may read, into the
// friend's account.
func (s *session) copyForeign(ctx context.Context) error {
	in := s.container(fresh)
	want, err := download(ctx, s.owner, s.container(box), objectName, objects.DownloadOpts{})
	if err != nil {
		return fmt.Errorf("read what is to be copied: %w", err)
	}
	source := strings.TrimPrefix(address(s.owner, "", s.container(box), objectName), strings.TrimSuffix(s.owner.Endpoint, "/"))
	if _, err := s.friend.Put(ctx, address(s.friend, "", in, "copy"), nil, nil, &gophercloud.RequestOpts{ //nolint:bodyclose // gophercloud closes what is not asked for
		MoreHeaders: map[string]string{"X-Copy-From": source, "X-Copy-From-Account": accountOf(s.owner)},
	}); err != nil {
		return fmt.Errorf("copy %s of account %s: %w", source, accountOf(s.owner), err)
	}
	seen, err := download(ctx, s.friend, in, "copy", objects.DownloadOpts{})
	if err != nil {
		return fmt.Errorf("read the copy: %w", err)
	}
	if seen.File != want.File {
		return s.unlike("copy", fmt.Sprintf("%+v", want.File), fmt.Sprintf("%+v", seen.File))
	}
	for _, attribute := range []string{"content-type", "etag", "x-object-meta-note"} {
		if seen.Headers[attribute] != want.Headers[attribute] {
			return s.unlike("copy's "+attribute, want.Headers[attribute], seen.Headers[attribute])
		}
	}
	return nil
}

// letIn looks that a new list of readers is heeded.
func (s *session) letIn(ctx context.Context) error {
	in := s.container(fresh)
	theirs := foreign(s.owner, accountOf(s.friend))
	_, err := download(ctx, theirs, in, "copy", objects.DownloadOpts{})
	if !gophercloud.ResponseCodeIs(err, http.StatusForbidden) {
		return s.unlike("new container before anybody is let in", "HTTP 403", answered(err))
	}
	project, err := s.check.owner().ProjectID()
	if err != nil {
		return err
	}
	user, err := s.check.owner().UserID()
	if err != nil {
		return err
	}
	acl := project + ":" + user
	if err := containers.Update(ctx, s.friend, in, containers.UpdateOpts{ContainerRead: &acl}).Err; err != nil {
		return fmt.Errorf("let another project's user read container %s: %w", in, err)
	}
	if _, err := download(ctx, theirs, in, "copy", objects.DownloadOpts{}); err != nil {
		return s.unlike("new container read by whom its list of readers names", "HTTP 200", answered(err))
	}
	return nil
}

func answered(err error) string {
	if err == nil {
		return "HTTP 200"
	}
	return err.Error()
}

// removeAfterwards removes what this verify made, or one that was killed.
func (s *session) removeAfterwards(ctx context.Context) error {
	if err := remove(ctx, s.friend, s.container(bench), fresh); err != nil {
		return err
	}
	return removeContainer(ctx, s.friend, s.container(fresh), s.features)
}

func (s *session) unlike(what string, want, seen any) error {
	return s.difference(resources.PostUpgrade, resources.Change{
		Attribute: "afterwards: " + what, Saved: fmt.Sprint(want), Seen: fmt.Sprint(seen),
	})
}

// awaitEntry waits until a container lists an object, or does not.
func awaitEntry(ctx context.Context, client *gophercloud.ServiceClient, in, name string, listed bool) error {
	want := "to list "
	if !listed {
		want = "not to list "
	}
	return resources.WaitFor(ctx, resources.Wait{Object: "container " + in + " " + want + name, Limit: listedWithin},
		func(ctx context.Context) (resources.Progress, error) {
			list, err := listing(ctx, client, "prefix="+name, in)
			return resources.Progress{Status: fmt.Sprintf("%d listed", len(list)), Done: (len(list) > 0) == listed}, err
		})
}
