package debstack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"grenade/framework/config"
	"grenade/framework/node"
	"grenade/framework/tree"
)

// checkoutBinds shows the plugins' checkouts in the node at their own paths.
func checkoutBinds(checkouts []tree.Checkout) []node.Bind {
	var binds []node.Bind
	for _, checkout := range checkouts {
		for _, dir := range []string{checkout.Dir, checkout.BaseDir} {
			bound := slices.ContainsFunc(binds, func(b node.Bind) bool { return b.Source == dir })
			if !bound {
				binds = append(binds, node.Bind{Source: dir, Target: dir, ReadOnly: checkout.ReadOnly && dir == checkout.Dir})
			}
		}
	}
	return binds
}

// prepareCheckouts gives the checkouts that are ours to the user stack, and writes into the node's upper directory the
// paths below the releases' directories by which scripts find them.
func (c *Cloud) prepareCheckouts(upper string) error {
	for _, checkout := range c.options.Checkouts {
		for side, dir := range map[config.Side]string{config.Base: checkout.BaseDir, config.Target: checkout.Dir} {
			if checkout.Give || dir != checkout.Dir {
				if err := give(dir, StackUID, StackGID); err != nil {
					return fmt.Errorf("checkout of plugin %s: %w", checkout.Name, err)
				}
			}
			if checkout.Name == "" {
				continue
			}
			link := filepath.Join(upper, filepath.Dir(c.TreeDir(side)), checkout.Name)
			if err := linkTo(dir, link); err != nil {
				return fmt.Errorf("checkout of plugin %s: %w", checkout.Name, err)
			}
		}
	}
	return c.trustCheckouts(upper)
}

// linkTo makes a symbolic link, in place of one that a copied layer holds.
func linkTo(dir, link string) error {
	if dir == link {
		return nil
	}
	if info, err := os.Lstat(link); err == nil {
		if info.Mode()&fs.ModeSymlink == 0 {
			return fmt.Errorf("%s is taken in the node by something else than a plugin's checkout", filepath.Base(link))
		}
		if err := os.Remove(link); err != nil {
			return fmt.Errorf("link: %w", err)
		}
	}
	if err := os.Symlink(dir, link); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	return nil
}

// give gives a directory and all below it to a user. Links are not followed.
func give(dir string, uid, gid int) error {
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
	if err != nil {
		return fmt.Errorf("owner: %w", err)
	}
	return nil
}

// trustCheckouts has the node's git accept the checkouts, whose owner on this machine may be anybody, as DevStack does
// when it clones one. What the root's own configuration says stays.
func (c *Cloud) trustCheckouts(upper string) error {
	if len(c.options.Checkouts) == 0 {
		return nil
	}
	path := filepath.Join(upper, "etc/gitconfig")
	var text strings.Builder
	for _, each := range []string{path, filepath.Join(c.base.Path, "etc/gitconfig")} {
		own, err := os.ReadFile(each)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("git's configuration in the node: %w", err)
		}
		text.Write(own)
		break
	}
	text.WriteString("[safe]\n")
	for _, bind := range checkoutBinds(c.options.Checkouts) {
		if line := fmt.Sprintf("\tdirectory = %q\n", bind.Target); !strings.Contains(text.String(), line) {
			text.WriteString(line)
		}
	}
	if err := c.base.upperDir(upper, "/etc"); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("git's configuration in the node: %w", err)
	}
	return nil
}
