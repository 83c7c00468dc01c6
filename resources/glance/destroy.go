package glance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"grenade/resources"
)

// goneWithin is how long an image's file may outlive it: glance may delete it
// later ([DEFAULT] delayed_delete, off by default).
const goneWithin = time.Minute

// Destroy removes the image, looks that its file is gone, and removes the
// accounts. The id was chosen and saved before the image was made, so nothing
// can be missed. It acts as administrator: the accounts may be broken. Glance
// keeps the rows of a deleted image, marked deleted; only its operator's
// "glance-manage db purge" removes those.
func (c *check) Destroy(ctx context.Context) error {
	saved, err := c.memory.All()
	if err != nil {
		return err
	}
	if len(saved) == 0 {
		return nil
	}
	provider, err := c.cloud.AsAdmin(ctx)
	if err != nil {
		return err
	}
	var errs []error
	if id := saved[keyImage]; id != "" {
		errs = append(errs, c.destroyImage(ctx, provider, id, saved[keyFile]))
	}
	identity, err := c.cloud.Identity(provider)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, account := range []resources.Account{c.member(), c.owner()} {
		errs = append(errs, account.Remove(ctx, identity))
	}
	return errors.Join(errs...)
}

func (c *check) destroyImage(ctx context.Context, provider *gophercloud.ProviderClient, id, file string) error {
	image, err := c.cloud.Service(provider, "image", "v2")
	if err != nil {
		return err
	}
	err = resources.Delete(ctx, "image "+id,
		func(ctx context.Context) error {
			err := images.Delete(ctx, image, id).ExtractErr()
			if !gophercloud.ResponseCodeIs(err, http.StatusForbidden) {
				return err //nolint:wrapcheck // Delete names the image
			}
			// Somebody protected it.
			if err := images.Update(ctx, image, id, images.UpdateOpts{images.ReplaceImageProtected{NewProtected: false}}).Err; err != nil {
				return fmt.Errorf("lift its protection: %w", err)
			}
			return images.Delete(ctx, image, id).ExtractErr()
		},
		func(ctx context.Context) error { return images.Get(ctx, image, id).Err })
	if err != nil {
		return err
	}
	inside, err := c.inside()
	if resources.IsNotChecked(err) || file == "" {
		return nil
	}
	if err != nil {
		return err
	}
	return resources.WaitFor(ctx, resources.Wait{Object: "file " + file + " of deleted image to be gone", Limit: goneWithin},
		func(ctx context.Context) (resources.Progress, error) {
			_, err := inside.File(ctx, file)
			var gone *resources.Gone
			if errors.As(err, &gone) {
				return resources.Progress{Done: true}, nil
			}
			return resources.Progress{Status: "still there"}, err
		})
}
