package debstack

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
)

// madeRoot is a root that was made in the background, or why there is none.
type madeRoot struct {
	root *Root
	err  error
}

// Start makes the node: base root, boot, trees. The target's root is built
// beside it, and first needed by PrepareTarget.
func (c *Cloud) Start(ctx context.Context, services []string) (err error) {
	if err := c.known.checkTogether(services, c.options.Checkouts); err != nil {
		return err
	}
	cache, mirror, err := c.cache(ctx)
	if err != nil {
		return err
	}
	c.options.Progress("whether both releases have the packages")
	if err := c.checkPair(ctx, cache, mirror, services); err != nil {
		return err
	}
	c.ensureTarget(ctx, cache)
	madeGuest, stopGuest, err := c.ensureGuest(ctx, mirror, services)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopGuest()) }()
	began := time.Now()
	if c.base, err = cache.Ensure(ctx, c.want(config.Base), c.options.Progress); err != nil {
		return err
	}
	c.took("base root", report.Roots, began)
	c.held = append(c.held, c.base)
	c.tellAge(c.base)
	if err := c.tellExtra(config.Base, c.base); err != nil {
		return err
	}
	passwords := NewPasswords()
	if c.options.Config.BaseLayer != "" {
		if c.layer, passwords, err = openLayer(c.options.Config, services, c.base); err != nil {
			return err
		}
		c.options.Note(fmt.Sprintf("the base cloud is a copy of one saved %s ago (BASE_LAYER)", roundAge(time.Since(c.layer.Saved))))
	}
	if err := passwords.Save(c.options.Config.SaveDir); err != nil {
		return err
	}
	c.keepSecret(passwords)
	c.saved = savedCloud{Services: services, passwords: passwords, BaseRoot: c.base.Path, BasePackages: c.base.Packages}
	if err := c.saved.write(c.options.Config.SaveDir); err != nil {
		return err
	}
	if err := c.takeGuest(madeGuest); err != nil {
		return err
	}
	return c.boot(ctx, cache)
}

func (c *Cloud) cache(ctx context.Context) (*Cache, *Mirror, error) {
	mirror, err := FindMirror(ctx, c.options.Config.DebianMirror, Host{})
	if err != nil {
		return nil, nil, err
	}
	mirror.AllowExpired = c.options.Config.AllowExpiredArchive
	return &Cache{Dir: c.options.Config.CacheDir, Archives: mirror, Builder: &Mmdebstrap{Mirror: mirror}}, mirror, nil
}

// ensureTarget starts to build or check the target's root.
func (c *Cloud) ensureTarget(ctx context.Context, cache *Cache) {
	target := make(chan madeRoot, 1)
	c.target = target
	began := time.Now()
	ctx, c.stopTarget = context.WithCancel(ctx)
	go func() {
		defer close(target)
		root, err := cache.Ensure(ctx, c.want(config.Target), c.options.Progress)
		c.took("target root", report.Roots, began)
		target <- madeRoot{root, err}
	}()
}

// want is the root of a side. It holds every service that the tree knows and
// the archive has, and the projects of enabled plugins, so that one root serves
// every selection.
func (c *Cloud) want(side config.Side) Want {
	release := c.release(side)
	there := slices.DeleteFunc(c.known.installed(c.options.Checkouts), func(lib Service) bool { return slices.Contains(c.leftOut[side], lib.Name) })
	return Want{
		Release: release.Name, Suite: release.Suite, Packages: append(NodePackages(), there.Packages(release.Number)...), Extra: c.extra[side],
	}
}

// tellExtra says which of the extra packages the side's root holds. It is an
// error when they are not what is tested.
func (c *Cloud) tellExtra(side config.Side, root *Root) error {
	extra := c.extra[side]
	used, err := extra.Used(root.Packages)
	if len(used) > 0 {
		c.options.Note(fmt.Sprintf("%s: %s", c.extraSetting(side).Setting, some(used)))
	}
	return err
}

// tellAge says that nobody could be asked whether the root is current.
func (c *Cloud) tellAge(root *Root) {
	if root.Offline {
		c.options.Note(fmt.Sprintf("%s of %s: %s old, and the archive could not be asked whether it is current: %v", root.Kind, root.Suite, roundAge(root.Age), root.Why))
	}
}

// keepSecret sees to it that no password is published.
func (c *Cloud) keepSecret(passwords Passwords) {
	for _, value := range passwords {
		c.options.Secrets.Add(value)
	}
}

func (c *Cloud) boot(ctx context.Context, cache *Cache) error {
	began := time.Now()
	c.options.Progress("boot of the node")
	upper, work := c.targetLayer()
	for _, dir := range []string{upper, work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("node directory: %w", err)
		}
	}
	if err := os.Chown(c.options.Config.SaveDir, StackUID, StackGID); err != nil {
		return fmt.Errorf("SAVE_DIR: %w", err)
	}
	if layer := c.options.Config.BaseLayer; layer != "" {
		c.options.Progress("copy of the base layer")
		if err := os.MkdirAll(NodeDir(c.options.Config), 0o700); err != nil {
			return fmt.Errorf("node directory: %w", err)
		}
		if err := copyLayer(ctx, filepath.Join(layer, layerDir), filepath.Join(NodeDir(c.options.Config), layerDir)); err != nil {
			return err
		}
	}
	started, err := node.Start(ctx, node.NspawnConfig{
		RunID: c.options.RunID, Dir: NodeDir(c.options.Config), Root: c.base.Path, Address: c.options.Config.NodeAddress,
		Routes: []netip.Prefix{c.options.Config.FloatingRange}, Machine: LinkName(c.options.Config),
		Binds: append([]node.Bind{
			{Source: c.options.Config.SaveDir, Target: c.options.Config.SaveDir},
			{Source: filepath.Dir(upper), Target: filepath.Dir(upper)},
			{Source: cache.Entries(), Target: c.rootsInNode(), ReadOnly: true},
		}, checkoutBinds(c.options.Checkouts)...),
		Prepare: c.prepareUpper,
	})
	if err != nil {
		return environment(err)
	}
	c.node = started
	c.took("boot", report.Boot, began)
	return nil
}

// prepareUpper writes what the node needs before it boots: the home of the
// user stack, the guest's files, and both trees.
func (c *Cloud) prepareUpper(upper string) error {
	if c.options.Config.BaseLayer != "" {
		return c.prepareTrees(upper)
	}
	if err := c.base.PrepareUpper(upper, c.options.Config.StackRoot); err != nil {
		return err
	}
	if err := c.writeGuest(upper); err != nil {
		return err
	}
	return c.prepareTrees(upper)
}

func (c *Cloud) prepareTrees(upper string) error {
	for _, side := range []config.Side{config.Base, config.Target} {
		release := filepath.Join(upper, filepath.Dir(c.TreeDir(side)))
		if err := os.MkdirAll(release, 0o755); err != nil {
			return fmt.Errorf("release directory: %w", err)
		}
		if err := own(release, 0o755, StackUID, StackGID); err != nil {
			return fmt.Errorf("release directory: %w", err)
		}
		if err := c.shell.Write(filepath.Join(upper, c.TreeDir(side)), StackUID, StackGID); err != nil {
			return err
		}
	}
	return c.prepareCheckouts(upper)
}
