package swift

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/containers"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/objects"

	"grenade/resources"
)

// resellerRole is what swift calls the administrator of all accounts
// (reseller_admin_role, its default).
const resellerRole = "ResellerAdmin"

// emptiedWithin is how long a container may say that it is not empty after its
// last object was deleted: object servers may tell container servers later.
const emptiedWithin = time.Minute

// Destroy empties both accounts, whatever is in them, and looks that no data is
// left on the disks. What swift keeps of what is deleted, it removes itself after
// its reclaim_age (a week): tombstones (.ts) of objects, and databases that are
// marked deleted. The account itself is deleted where swift lets the administrator
// do that; else its database stays, empty: no API removes it.
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
	identity, err := c.cloud.Identity(provider)
	if err != nil {
		return err
	}
	var errs []error
	for _, account := range []resources.Account{c.friend(), c.owner()} {
		// Nothing can be in swift before the project's id is saved.
		if saved[account.Name+".project_id"] != "" {
			if err := c.destroyStored(ctx, identity, account); err != nil {
				// Without the project there would be no way to what is in it.
				errs = append(errs, err)
				continue
			}
		}
		errs = append(errs, account.Remove(ctx, identity))
	}
	return errors.Join(errs...)
}

// destroyStored removes what an account's project has in swift.
func (c *check) destroyStored(ctx context.Context, identity *gophercloud.ServiceClient, account resources.Account) error {
	project, err := account.ProjectID()
	if err != nil {
		return err
	}
	provider, err := account.Enter(ctx, identity, resellerRole)
	if resources.IsGone(err) {
		return nil // an earlier destroy came as far as to remove the project
	}
	if err != nil {
		return err
	}
	client, err := c.client(provider, project)
	if err != nil {
		return err
	}
	if err := emptyAccount(ctx, client); err != nil {
		return err
	}
	deleted, err := c.deleteAccount(ctx, client)
	if err != nil {
		return err
	}
	return c.nothingOnDisk(ctx, accountOf(client), deleted)
}

// emptyAccount removes every container with all that is in it.
func emptyAccount(ctx context.Context, client *gophercloud.ServiceClient) error {
	list, err := listing(ctx, client, "")
	if resources.IsGone(err) {
		return nil // nothing was ever stored, or the account is deleted
	}
	if err != nil {
		return fmt.Errorf("list account %s: %w", accountOf(client), err)
	}
	told, err := info(ctx, client)
	if err != nil {
		return fmt.Errorf("what swift can do: %w", err)
	}
	var errs []error
	for _, container := range list {
		errs = append(errs, removeContainer(ctx, client, fmt.Sprint(container["name"]), featuresOf(told)))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if list, err = listing(ctx, client, ""); err != nil {
		return fmt.Errorf("list account %s: %w", accountOf(client), err)
	}
	if len(list) > 0 {
		return fmt.Errorf("empty account %s: container %v is still listed", accountOf(client), list[0]["name"])
	}
	return nil
}

// removeContainer removes a container and all that is in it, old versions
// included. One that is not there is no error.
func removeContainer(ctx context.Context, client *gophercloud.ServiceClient, name string, can features) error {
	query := ""
	if can.Versions {
		query = "versions=true"
		// Else each delete would leave a version that says so.
		off := false
		if err := containers.Update(ctx, client, name, containers.UpdateOpts{VersionsEnabled: &off}).Err; err != nil && !resources.IsGone(err) {
			return fmt.Errorf("stop container %s from keeping versions: %w", name, err)
		}
	}
	err := resources.WaitFor(ctx, resources.Wait{Object: "container " + name + " to be empty and gone", Limit: emptiedWithin},
		func(ctx context.Context) (resources.Progress, error) {
			list, err := listing(ctx, client, query, name)
			if resources.IsGone(err) {
				return resources.Progress{Done: true}, nil
			}
			if err != nil {
				return resources.Progress{}, err
			}
			for _, object := range list {
				version, _ := object["version_id"].(string)
				if err := removeVersion(ctx, client, name, fmt.Sprint(object["name"]), version); err != nil {
					return resources.Progress{}, err
				}
			}
			err = containers.Delete(ctx, client, name).Err
			if gophercloud.ResponseCodeIs(err, http.StatusConflict) {
				return resources.Progress{Status: fmt.Sprintf("%d objects listed", len(list))}, nil
			}
			if err != nil && !resources.IsGone(err) {
				return resources.Progress{}, fmt.Errorf("delete container: %w", err)
			}
			return resources.Progress{Status: "deleted"}, nil // the next look makes sure
		})
	if err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	return nil
}

// remove deletes an object. One that is not there is no error.
func remove(ctx context.Context, client *gophercloud.ServiceClient, container, name string) error {
	return removeVersion(ctx, client, container, name, "")
}

func removeVersion(ctx context.Context, client *gophercloud.ServiceClient, container, name, version string) error {
	var opts objects.DeleteOpts
	if version != "null" { // what is no version has this id where versions are listed
		opts.ObjectVersionID = version
	}
	if err := objects.Delete(ctx, client, container, name, opts).Err; err != nil && !resources.IsGone(err) {
		return fmt.Errorf("delete object %s/%s: %w", container, name, err)
	}
	return nil
}

// deleteAccount deletes the empty account, where swift's operator allows that
// (allow_account_management) to the administrator of all accounts
// (reseller_admin_role). Elsewhere an empty account is all that can be had.
func (c *check) deleteAccount(ctx context.Context, client *gophercloud.ServiceClient) (deleted bool, err error) {
	_, err = client.Delete(ctx, address(client, ""), nil) //nolint:bodyclose // gophercloud closes what is not asked for
	switch {
	case err == nil, resources.IsGone(err):
		return true, nil
	case isRefused(err):
		c.memory.Log.Infof("swift does not let the administrator delete account %s: its database stays, empty", accountOf(client))
		return false, nil
	}
	return false, fmt.Errorf("delete account %s: %w", accountOf(client), err)
}

// left is what ondisk.py finds of an account.
type left struct {
	Data       []string `json:"data"`
	Containers []string `json:"containers"`
	Accounts   []string `json:"accounts"`
}

// nothingOnDisk looks that nothing of an account is left on the node's disks but
// what is marked deleted, and the account itself where it was not deleted.
func (c *check) nothingOnDisk(ctx context.Context, account string, deleted bool) error {
	inside, err := c.inside()
	if resources.IsNotChecked(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return resources.WaitFor(ctx, resources.Wait{Object: "what is on disk of account " + account + " to be gone", Limit: emptiedWithin},
		func(ctx context.Context) (resources.Progress, error) {
			var found left
			if err := inside.ask(ctx, map[string]any{"everything": account}, &found); err != nil {
				return resources.Progress{}, err
			}
			all := slices.Concat(found.Data, found.Containers)
			if deleted {
				all = append(all, found.Accounts...)
			}
			return resources.Progress{Done: len(all) == 0, Status: "on disk: " + strings.Join(all, ", ")}, nil
		})
}
