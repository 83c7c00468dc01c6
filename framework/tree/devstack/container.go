package devstack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"grenade/framework/config"
	"grenade/framework/node"
	"grenade/framework/report"
	"grenade/framework/tree"
	"grenade/framework/tree/debstack"
)

// containerSuite is the Debian release in which DevStack installs: every branch since 2023.1 names it among those that it
// supports (SUPPORTED_DISTROS in stack.sh).
const containerSuite = "bookworm"

// containerPackages are what DevStack needs before it installs anything by itself.
func containerPackages() []string {
	return []string{"acl", "apt", "bash", "git", "gnupg", "iptables", "iputils-ping", "kmod", "lsb-release", "python3", "python3-venv", "rsync", "wget"}
}

// startContainer fetches both trees into the layer that the node will write to, and boots the node. It has no way out of
// the machine but through it: DevStack gets the proxies of our environment.
func (c *Cloud) startContainer(ctx context.Context) error {
	settings := c.options.Config
	dir := debstack.NodeDir(settings)
	upper := filepath.Join(dir, "upper")
	if err := os.MkdirAll(upper, 0o755); err != nil {
		return fmt.Errorf("node directory: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("node directory: %w", err)
	}
	if err := c.save(); err != nil {
		return err
	}
	began := time.Now()
	for _, side := range sides() {
		if err := c.fetch(ctx, side, upper); err != nil {
			return err
		}
	}
	c.took("trees", report.Other, began)
	began = time.Now()
	root, err := c.containerRoot(ctx)
	if err != nil {
		return err
	}
	c.took("root", report.Roots, began)
	if err := os.Chown(settings.SaveDir, debstack.StackUID, debstack.StackGID); err != nil {
		return fmt.Errorf("SAVE_DIR: %w", err)
	}
	began = time.Now()
	c.options.Progress("boot of the node")
	started, err := node.Start(ctx, node.NspawnConfig{
		RunID: c.options.RunID, Dir: dir, Root: root, Address: settings.NodeAddress,
		Routes: []netip.Prefix{settings.FloatingRange}, Machine: debstack.LinkName(settings),
		Binds: c.binds(), Prepare: c.prepareUpper,
	})
	if err != nil {
		return tree.Environment(err)
	}
	c.node = started
	c.took("boot", report.Boot, began)
	return nil
}

// containerRoot is where the container's root file system is on this machine.
func (c *Cloud) containerRoot(ctx context.Context) (string, error) {
	if c.options.Root != "" {
		return c.options.Root, nil
	}
	settings := c.options.Config
	mirror, err := debstack.FindMirror(ctx, settings.DebianMirror, debstack.Host{})
	if err != nil {
		return "", err
	}
	mirror.AllowExpired = settings.AllowExpiredArchive
	cache := &debstack.Cache{Dir: settings.CacheDir, Archives: mirror, Builder: &debstack.Mmdebstrap{Mirror: mirror}}
	c.root, err = cache.Ensure(ctx, debstack.Want{
		Release: string(config.Devstack), Suite: containerSuite, Packages: append(debstack.NodePackages(), containerPackages()...),
	}, c.options.Progress)
	if err != nil {
		return "", err
	}
	return c.root.Path, nil
}

// binds shows SAVE_DIR and the plugins' checkouts in the node at their own paths.
func (c *Cloud) binds() []node.Bind {
	binds := []node.Bind{{Source: c.options.Config.SaveDir}}
	for _, checkout := range c.options.Checkouts {
		for _, dir := range []string{checkout.Dir, checkout.BaseDir} {
			if !slices.ContainsFunc(binds, func(b node.Bind) bool { return b.Source == dir }) {
				binds = append(binds, node.Bind{Source: dir, ReadOnly: checkout.ReadOnly && dir == checkout.Dir})
			}
		}
	}
	return binds
}

// prepareUpper gives the stack user his directory, with the trees in it.
func (c *Cloud) prepareUpper(upper string) error {
	if c.root != nil {
		if err := c.root.PrepareUpper(upper, c.options.Config.StackRoot); err != nil {
			return err
		}
	}
	if err := c.linkCheckouts(upper); err != nil {
		return err
	}
	var failures []error
	for _, checkout := range c.options.Checkouts {
		if checkout.Give {
			failures = append(failures, giveTo(checkout.Dir, debstack.StackUID, debstack.StackGID))
		}
	}
	return errors.Join(append(failures, giveTo(filepath.Join(upper, c.options.Config.StackRoot), debstack.StackUID, debstack.StackGID))...)
}
