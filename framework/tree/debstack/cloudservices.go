package debstack

import (
	"context"
	"errors"
	"slices"

	"grenade/framework/config"
	"grenade/framework/probe"
	"grenade/framework/tree"
)

// Requires returns the closure of the projects' requirements as the embedded
// tree declares it, before there is a cloud.
func Requires(projects []string) ([]string, error) {
	cloud, err := NewCloud(CloudOptions{})
	if err != nil {
		return nil, err
	}
	return cloud.Requires(projects)
}

// Requires returns the projects and all that they require, in the order in
// which services start. A project that the tree does not know requires
// nothing.
func (c *Cloud) Requires(projects []string) ([]string, error) {
	ours := slices.DeleteFunc(slices.Clone(projects), func(name string) bool {
		_, known := c.known.Find(name)
		return !known
	})
	closure, err := c.known.Closure(ours...)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, service := range closure {
		names = append(names, service.Name)
	}
	for _, name := range projects {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// UpgradesAfter returns the projects that must be upgraded before the project is,
// as the embedded tree declares it. A project that the tree does not know has none.
func UpgradesAfter(project string) ([]string, error) {
	cloud, err := NewCloud(CloudOptions{})
	if err != nil {
		return nil, err
	}
	service, _ := cloud.known.Find(project)
	return service.UpgradesAfter, nil
}

// Enabled is ENABLED_SERVICES, what the cloud holds: the services of
// the projects, and the infrastructure that every one of them needs.
func (c *Cloud) Enabled() []string {
	names := []string{"mysql", "rabbit"}
	for _, name := range c.saved.Services {
		if service, known := c.known.Find(name); known {
			names = append(names, service.Services...)
		}
	}
	return unique(names)
}

// Service describes how the side's tree runs the project.
func (c *Cloud) Service(project string, side config.Side) (tree.Service, bool) {
	service, known := c.known.Find(project)
	if !known {
		return tree.Service{}, false
	}
	release, root := c.options.Config.Base, c.saved.BaseRoot
	if side == config.Target {
		release, root = c.options.Config.Target, c.saved.TargetRoot
	}
	return service.Tree(release.Number, c.unitsIn(root, service)), true
}

// unitsIn is UnitsOf for a root that nobody changes any more: it is asked for in every row, and reads dpkg's lists
// only once. There are none as long as there is no such root.
func (c *Cloud) unitsIn(root string, service Service) map[string]Unit {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := root + " " + service.Name
	if units, known := c.units[key]; known {
		return units
	}
	units, err := UnitsOf(root, service)
	if err != nil {
		return nil
	}
	c.units[key] = units
	return units
}

// Packages are the versions in the side's root.
func (c *Cloud) Packages(_ context.Context, side config.Side) (map[string]string, error) {
	versions := c.saved.BasePackages
	if side == config.Target {
		versions = c.saved.TargetPackages
	}
	if versions == nil {
		return nil, errors.New("the " + string(side) + " root is not there yet")
	}
	return versions, nil
}

// Look is nothing here: what the tree says of its services is known from its text and from the roots.
func (c *Cloud) Look(context.Context) error { return nil }

// Code is the version of the service's package in the root of each process.
func (c *Cloud) Code(ctx context.Context, service tree.Service, processes []probe.Process) ([]tree.Code, error) {
	versions := map[string]map[string]string{}
	all := make([]tree.Code, 0, len(processes))
	for _, process := range processes {
		if len(service.Packages) == 0 {
			all = append(all, tree.Code{})
			continue
		}
		if versions[process.Root] == nil {
			var err error
			if versions[process.Root], err = probe.Packages(ctx, c.node, process.Root, service.Packages); err != nil {
				return nil, err
			}
		}
		name := service.Packages[0]
		all = append(all, tree.Code{Package: name, Version: versions[process.Root][name]})
	}
	return all, nil
}
