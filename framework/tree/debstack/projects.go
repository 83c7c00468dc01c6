package debstack

import (
	"slices"

	"grenade/framework/tree"
)

// projectsDir is where the tree says, of projects that their plugins bring, which Debian packages hold them. A lib installs,
// configures and starts its service; here all of that is done by the plugin's own plugin.sh, whose "install from
// source" becomes "use these packages".
const projectsDir = "projects"

// installed are the services that roots hold: all of the tree's libs, and of its projects those whose plugins are enabled. So
// nobody waits for the packages of a plugin that he does not use.
func (s Services) installed(enabled []tree.Checkout) Services {
	return slices.DeleteFunc(slices.Clone(s), func(one Service) bool {
		return one.FromPlugin && !slices.ContainsFunc(enabled, func(checkout tree.Checkout) bool { return checkout.Name == one.Name })
	})
}
