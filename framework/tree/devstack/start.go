package devstack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"grenade/framework/config"
	"grenade/framework/node"
	"grenade/framework/tree"
	"grenade/framework/tree/debstack"
	"grenade/framework/tree/localconf"
)

// Start fetches both trees, makes the node, and has both trees read a local.conf without what plugins will add: only so
// it is known which services there are. DevStack runs all that it is configured for, whatever the services are. An error
// that does not belong to ErrSetting belongs to ErrEnvironment.
func (c *Cloud) Start(ctx context.Context, _ []string) error {
	if err := c.start(ctx); err != nil {
		return tree.Environment(err)
	}
	return nil
}

func (c *Cloud) start(ctx context.Context) error {
	settings := c.options.Config
	c.saved = state{Run: cookie(c.options.RunID, settings), Node: string(settings.Node), User: settings.StackUser, External: settings.External}
	var err error
	switch {
	case settings.External:
		err = c.startExternal(ctx)
	case settings.Node == config.Local:
		err = c.startLocal(ctx)
	default:
		err = c.startContainer(ctx)
	}
	if err != nil {
		return err
	}
	if !settings.External {
		if c.saved.Passwords == nil {
			c.saved.Passwords = debstack.NewPasswords()
			c.saved.Passwords["SWIFT_HASH"] = rand.Text()
		}
		c.options.Secrets.Add(c.saved.secrets()...)
		for _, side := range sides() {
			if err := c.compose(ctx, side, nil); err != nil {
				return err
			}
		}
	}
	return errors.Join(c.configure(ctx), c.save())
}

func sides() []config.Side { return []config.Side{config.Base, config.Target} }

// startExternal looks whether somebody has put both trees where they belong.
func (c *Cloud) startExternal(ctx context.Context) error {
	var missing []error
	for _, side := range sides() {
		if err := looksLikeTree(c.TreeDir(side)); err != nil {
			missing = append(missing, fmt.Errorf("%s tree: %w", side, err))
		}
	}
	if len(missing) > 0 {
		return tree.Setting(fmt.Errorf("GRENADE_USE_EXTERNAL_DEVSTACK: %w", errors.Join(missing...)))
	}
	if _, err := c.owner(); err != nil {
		return err
	}
	c.node = c.local()
	return errors.Join(c.openSaveDir(), c.linkCheckouts(""), c.reach(ctx))
}

// startLocal makes the directories and trees on this machine. What is about to be made is written down first: whoever
// comes after a kill finds it.
func (c *Cloud) startLocal(ctx context.Context) error {
	settings := c.options.Config
	if _, err := c.owner(); err != nil {
		return err
	}
	dirs := []string{settings.StackRoot, filepath.Join(settings.StackRoot, "data"), filepath.Join(settings.StackRoot, "logs"),
		releaseDir(settings, config.Base), releaseDir(settings, config.Target)}
	for _, dir := range dirs {
		if _, err := os.Lstat(dir); err == nil {
			continue // somebody else's, or STACK_ROOT, which outlives a run
		}
		if dir != settings.StackRoot {
			c.saved.Made = append(c.saved.Made, dir)
		}
	}
	if err := c.save(); err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("STACK_ROOT: %w", err)
		}
		if slices.Contains(c.saved.Made, dir) {
			if err := c.give(dir); err != nil {
				return err
			}
		}
	}
	if err := c.takeHome(); err != nil {
		return err
	}
	c.node = c.local()
	for _, side := range sides() {
		if err := c.fetch(ctx, side, ""); err != nil {
			return err
		}
		if slices.Contains(c.saved.Made, releaseDir(settings, side)) {
			if err := c.give(c.TreeDir(side)); err != nil {
				return err
			}
		}
	}
	return errors.Join(c.openSaveDir(), c.linkCheckouts(""), c.reach(ctx))
}

// local is this machine.
func (c *Cloud) local() *node.Local {
	return node.NewLocal(cookie(c.options.RunID, c.options.Config), "")
}

// cookie marks what a run starts on this machine. Runs that began in the same second have the same name, and another STACK_ROOT.
func cookie(runID string, settings *config.Config) string { return runID + "@" + settings.StackRoot }

// reach looks whether the stack user can enter all that he works in. A home directory of somebody else is the usual
// obstacle.
func (c *Cloud) reach(ctx context.Context) error {
	settings := c.options.Config
	paths := []string{c.TreeDir(config.Base), c.TreeDir(config.Target), settings.SaveDir}
	for _, checkout := range c.options.Checkouts {
		paths = append(paths, checkout.Dir, checkout.BaseDir)
	}
	slices.Sort(paths)
	lines, err := c.ask(ctx, false, "", "reach.sh", slices.Compact(paths)...)
	if err != nil {
		return tree.Environment(fmt.Errorf("run as %s on this machine: %w", settings.StackUser, err))
	}
	var failures []error
	for _, line := range lines {
		failures = append(failures, fmt.Errorf("%s, who is STACK_USER, cannot use %s: %s must be enterable for others (chmod o+x), or choose another directory",
			settings.StackUser, line[0], line[len(line)-1]))
	}
	if len(failures) > 0 {
		return tree.Setting(errors.Join(failures...))
	}
	return nil
}

// owner is the stack user on this machine.
func (c *Cloud) owner() (*user.User, error) {
	name := c.options.Config.StackUser
	found, err := user.Lookup(name)
	if err != nil {
		return nil, tree.Setting(fmt.Errorf("STACK_USER: this machine has no user %s: make one with DevStack's tools/create-stack-user.sh, or name another: %w", name, err))
	}
	return found, nil
}

// ids are those of the stack user on this machine.
func (c *Cloud) ids() (uid, gid int, err error) {
	owner, err := c.owner()
	if err != nil {
		return 0, 0, err
	}
	uid, uidErr := strconv.Atoi(owner.Uid)
	gid, gidErr := strconv.Atoi(owner.Gid)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return 0, 0, fmt.Errorf("STACK_USER %s: %w", owner.Username, err)
	}
	return uid, gid, nil
}

// give gives a directory and all below it to the stack user of this machine.
func (c *Cloud) give(dir string) error {
	uid, gid, err := c.ids()
	if err != nil {
		return err
	}
	return giveTo(dir, uid, gid)
}

// takeHome gives STACK_ROOT, which is the stack user's home, to him if it is root's, as DevStack's own tool does; what is in it
// stays whose it is.
func (c *Cloud) takeHome() error {
	info, err := os.Stat(c.options.Config.StackRoot)
	if err != nil {
		return fmt.Errorf("STACK_ROOT: %w", err)
	}
	if owner, known := info.Sys().(*syscall.Stat_t); !known || owner.Uid != 0 {
		return nil
	}
	uid, gid, err := c.ids()
	if err != nil {
		return err
	}
	if err := os.Chown(c.options.Config.StackRoot, uid, gid); err != nil {
		return fmt.Errorf("STACK_ROOT: %w", err)
	}
	return nil
}

// openSaveDir lets the stack user write to SAVE_DIR. What the harness keeps there stays its own.
func (c *Cloud) openSaveDir() error {
	uid, gid, err := c.ids()
	if err != nil {
		return err
	}
	if err := os.Chown(c.options.Config.SaveDir, uid, gid); err != nil {
		return fmt.Errorf("SAVE_DIR: %w", err)
	}
	return nil
}

func giveTo(dir string, uid, gid int) error {
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
	if err != nil {
		return fmt.Errorf("owner of %s: %w", dir, err)
	}
	return nil
}

// linkCheckouts shows the plugins' checkouts in the releases' directories, where scripts look for projects, and where
// DevStack looks for plugins before it clones them. What is there already stays.
func (c *Cloud) linkCheckouts(top string) error {
	for _, checkout := range c.options.Checkouts {
		if checkout.Name == "" {
			continue
		}
		for side, dir := range map[config.Side]string{config.Base: checkout.BaseDir, config.Target: checkout.Dir} {
			link := filepath.Join(top, releaseDir(c.options.Config, side), checkout.Name)
			if _, err := os.Lstat(link); err == nil {
				continue
			}
			if err := os.Symlink(dir, link); err != nil {
				return fmt.Errorf("checkout of plugin %s: %w", checkout.Name, err)
			}
		}
	}
	return nil
}

// configure has both trees read their local.conf, and keeps what they say. A tree that would work in another directory
// than ours is refused: no script would find what it makes.
func (c *Cloud) configure(ctx context.Context) error {
	c.saved.Enabled = map[config.Side][]string{}
	for _, side := range sides() {
		lines, err := c.ask(ctx, false, "", "configure.sh", c.TreeDir(side), c.TreeDir(config.Target))
		if err != nil {
			return tree.Setting(fmt.Errorf("%s tree: its stackrc, or what local.conf adds to it: %w", side, err))
		}
		said := map[string]string{}
		for _, line := range lines {
			if len(line) == 2 {
				said[line[0]] = line[1]
			}
		}
		if want := releaseDir(c.options.Config, side); said["DEST"] != want {
			return tree.Setting(fmt.Errorf("%s tree: %s sets DEST to %q; plugins look for what it makes in %s", side, filepath.Join(c.TreeDir(side), "local.conf"), said["DEST"], want))
		}
		c.saved.Enabled[side] = strings.FieldsFunc(said["ENABLED_SERVICES"], func(r rune) bool { return r == ',' || r == ' ' })
		if side == config.Base {
			if err := c.keepDatabase(said); err != nil {
				return err
			}
		}
	}
	return nil
}

// Compose writes the side's local.conf into its tree, with what plugins add, and has the tree read it. On an external
// DevStack somebody else has written it.
func (c *Cloud) Compose(ctx context.Context, side config.Side, lines []tree.LocalrcLine) error {
	if !c.options.Config.External {
		if err := c.compose(ctx, side, lines); err != nil {
			return err
		}
	}
	if side != config.Target {
		return nil // both are read when both are written
	}
	return errors.Join(c.configure(ctx), c.save())
}

func (c *Cloud) compose(ctx context.Context, side config.Side, lines []tree.LocalrcLine) error {
	original, err := c.original(side)
	if err != nil {
		return err
	}
	conf, err := localconf.Compose(localconf.Input{
		Defaults: localconf.FromLocalrc(c.localrc(side)), Original: original,
		User: c.options.Config.LocalConf[side], Added: lines,
	})
	if err != nil {
		return err
	}
	command := c.command("sh", "-c", "umask 077; rm -f localrc; cat >local.conf")
	command.Dir, command.Stdin = c.TreeDir(side), []byte(conf.String())
	if _, err := c.node.Run(ctx, command); err != nil {
		return fmt.Errorf("write local.conf of the %s tree: %w", side, err)
	}
	return nil
}

// original is what a tree that was there already came with, kept as local.conf.orig, where upstream keeps it.
func (c *Cloud) original(side config.Side) (*localconf.Conf, error) {
	dir := c.TreeDir(side)
	if c.options.Config.Node != config.Local || slices.Contains(c.saved.Made, releaseDir(c.options.Config, side)) {
		return nil, nil //nolint:nilnil // the tree is as its repository has it
	}
	kept := filepath.Join(dir, "local.conf.orig")
	if _, err := os.Stat(kept); err != nil {
		came, err := localconf.Original(dir)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(kept, []byte(came.String()), 0o600); err != nil {
			return nil, fmt.Errorf("local.conf that the tree came with: %w", err)
		}
		return came, c.give(kept)
	}
	text, err := os.ReadFile(kept)
	if err != nil {
		return nil, fmt.Errorf("local.conf that the tree came with: %w", err)
	}
	return localconf.Parse(string(text)), nil
}
