package config

import (
	"fmt"
	"os/user"
	"path/filepath"
)

// settleTree looks at what the settings that choose trees and node say together: an external DevStack decides both, and
// which branches and which further settings there are depends on the tree. Branches that are wrong are not sound
// afterwards.
func (c *Config) settleTree(sound map[string]bool, resolved map[string]Value, blame func(message string, names ...string)) {
	set := func(name string) bool { return resolved[name].Origin != "default" }
	for _, name := range []string{"GRENADE_USE_EXTERNAL_DEVSTACK", "GRENADE_TREE", "GRENADE_NODE", "STACK_USER"} {
		if !sound[name] {
			return
		}
	}
	if c.External {
		if set("GRENADE_TREE") && c.Tree != Devstack {
			blame("GRENADE_USE_EXTERNAL_DEVSTACK=True means DevStack's trees: leave GRENADE_TREE out, or set it to devstack", "GRENADE_TREE")
		}
		if set("GRENADE_NODE") && c.Node != Local {
			blame("GRENADE_USE_EXTERNAL_DEVSTACK=True means a cloud on this machine: leave GRENADE_NODE out, or set it to local", "GRENADE_NODE")
		}
		c.Tree, c.Node = Devstack, Local
	}
	if c.Tree == OwnCloud {
		c.settleOwnCloud(set, blame)
		return
	}
	if c.Node != Local && c.StackUser != "stack" {
		blame(fmt.Sprintf("STACK_USER is %s: in a container the user is stack", c.StackUser), "STACK_USER")
	}
	if c.Tree == Devstack {
		c.refuseOnDevstack(set, blame)
		c.refuseOtherPlaces(blame)
		// The packages of no Debian release.
		c.Base.Suite, c.Target.Suite = "", ""
		return
	}
	if c.Node != Nspawn {
		blame("GRENADE_NODE=local is for GRENADE_TREE=devstack: the packaged cloud runs in a container only", "GRENADE_NODE")
	}
	for _, name := range []string{"BASE_DEVSTACK_BRANCH", "TARGET_DEVSTACK_BRANCH"} {
		if !sound[name] {
			continue
		}
		if _, err := FindRelease(resolved[name].Value); err != nil {
			blame(fmt.Sprintf("%s names an %v", name, err), name)
			sound[name] = false
		}
	}
}

// settleOwnCloud is for a cloud that is seen from outside: its commands are the caller's, and what needs a tree is refused.
func (c *Config) settleOwnCloud(set func(string) bool, blame func(message string, names ...string)) {
	if c.ExternalCommands == "" && !set("EXTERNAL_COMMANDS") {
		blame("GRENADE_TREE=external needs EXTERNAL_COMMANDS, the directory of your programs (docs/external.md)", "GRENADE_TREE")
	}
	for _, name := range []string{"BASE_EXTRA_PACKAGES", "TARGET_EXTRA_PACKAGES", "BASE_LAYER", "GRENADE_NODE", "GRENADE_PROJECTS", "STACK_USER"} {
		if set(name) {
			blame(name+" is for clouds that are built here: GRENADE_TREE=external does not heed it", name)
		}
	}
	for name, on := range map[string]bool{"BASE_RUN_SMOKE": c.BaseRunSmoke, "TARGET_RUN_SMOKE": c.TargetRunSmoke} {
		if on {
			blame(name+": GRENADE_TREE=external has no Tempest", name)
		}
	}
	if set("GRENADE_PLUGINRC") || c.Pluginrc.Path != "" {
		blame("plugins' scripts look into the node, and GRENADE_TREE=external is seen from outside: leave pluginrc out", "GRENADE_PLUGINRC")
	}
	c.Node = Local
	c.Base.Suite, c.Target.Suite = "", ""
	caller, err := user.Current()
	if err != nil {
		blame(fmt.Sprintf("who runs the commands: %v", err), "GRENADE_TREE")
		return
	}
	c.StackUser = caller.Username
}

// refuseOnDevstack names settings that DevStack's trees do not heed: who sets one must not believe that it counts.
func (c *Config) refuseOnDevstack(set func(string) bool, blame func(message string, names ...string)) {
	for _, name := range []string{"BASE_EXTRA_PACKAGES", "TARGET_EXTRA_PACKAGES", "BASE_LAYER"} {
		if set(name) {
			blame(name+" is for packages: GRENADE_TREE=devstack does not heed it", name)
		}
	}
}

// refuseOtherPlaces names upstream's variables that put a tree where no run of ours looks for it.
func (c *Config) refuseOtherPlaces(blame func(message string, names ...string)) {
	if c.StackRoot == "" {
		return // a mistake of its own
	}
	for _, place := range [][2]string{{"BASE_DEVSTACK_DIR", "old"}, {"TARGET_DEVSTACK_DIR", "new"}} {
		ours := filepath.Join(c.StackRoot, place[1], "devstack")
		if given := c.Extra[place[0]]; given != "" && filepath.Clean(given) != ours {
			blame(fmt.Sprintf("%s: %s is %s, but the tree is looked for in %s: set STACK_ROOT", c.Localrc.Path, place[0], given, ours))
		}
	}
}
