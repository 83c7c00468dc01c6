package debstack

import (
	"errors"
	"fmt"
	"slices"
	"strings"

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

// checkTogether refuses a cloud of these services in which some cannot be beside an enabled plugin's project. The plugin's settings
// bring it into the cloud, selected or not. The error belongs to ErrSetting.
func (s Services) checkTogether(services []string, enabled []tree.Checkout) error {
	var refused []error
	for _, one := range s.installed(enabled) {
		for _, other := range sortedKeys(one.NotWith, strings.Compare) {
			if slices.Contains(services, other) {
				refused = append(refused, fmt.Errorf("the plugin %s cannot be in one cloud with %s: %s; leave one of them out (pluginrc, or --label-filter='!%s')",
					one.Name, other, one.NotWith[other], other))
			}
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return setting(errors.Join(refused...))
}
