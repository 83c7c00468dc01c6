// Package native lists the checks that this project writes in Go.
package native

import (
	"grenade/resources"
	"grenade/resources/cinder"
	"grenade/resources/glance"
	"grenade/resources/keystone"
	"grenade/resources/neutron"
	"grenade/resources/nova"
	"grenade/resources/placement"
	"grenade/resources/swift"
)

// Checks returns every native check, by project. Those that look through guests
// which testify are resources.Unfit where there can be none.
func Checks(cloud resources.Cloud) map[string]resources.Check {
	checks := map[string]resources.Check{
		cinder.Project:    cinder.New(cloud),
		keystone.Project:  keystone.New(cloud),
		glance.Project:    glance.New(cloud),
		nova.Project:      nova.New(cloud),
		placement.Project: placement.New(cloud),
		swift.Project:     swift.New(cloud),
		neutron.Project:   neutron.New(cloud),
	}
	if cloud.Guestless != "" {
		for _, project := range []string{cinder.Project, nova.Project} {
			checks[project] = resources.Unfit{Reason: cloud.Guestless}
		}
	}
	return checks
}
