package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"grenade/framework/config"
	"grenade/framework/tree"
)

// unit is one of DevStack's systemd units: devstack@<service>.
type unit struct {
	Name string `json:"name"`
	// Command is what it starts, its words with blanks between them.
	Command string `json:"command"`
}

// Look brings up to date which units run the target's services. Those of base stay as they were when stack.sh was over.
func (c *Cloud) Look(ctx context.Context) error {
	c.mu.Lock()
	prepared := c.saved.Prepared
	c.mu.Unlock()
	if !prepared {
		return nil
	}
	if err := c.look(ctx, config.Target); err != nil {
		return err
	}
	return c.save()
}

// look asks systemd for DevStack's units, and the releases' directories for the commits in them.
func (c *Cloud) look(ctx context.Context, side config.Side) error {
	lines, err := c.ask(ctx, false, "", "look.sh", releaseDir(c.options.Config, config.Base), releaseDir(c.options.Config, config.Target))
	if err != nil {
		return fmt.Errorf("which of DevStack's units run: %w", err)
	}
	var units []unit
	code := map[string]map[string]string{}
	blind := ""
	for _, line := range lines {
		switch {
		case line[0] == "unit" && len(line) == 3:
			units = append(units, unit{Name: line[1], Command: line[2]})
		case line[0] == "blind" && len(line) == 2:
			blind = "systemd cannot be asked: " + line[1]
		case line[0] == "code" && len(line) == 4:
			if code[line[1]] == nil {
				code[line[1]] = map[string]string{}
			}
			code[line[1]][line[2]] = line[3]
		default:
			return fmt.Errorf("which of DevStack's units run: cannot read %q", strings.Join(line, "\t"))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.saved.Blind = blind
	if c.saved.Units == nil {
		c.saved.Units = map[config.Side][]unit{}
	}
	c.saved.Units[side] = units
	c.saved.Code = map[config.Side]map[string]string{}
	for _, of := range sides() {
		c.saved.Code[of] = code[releaseDir(c.options.Config, of)]
	}
	return nil
}

// Service describes how the side's tree runs the project, as far as DevStack lets see: its units are those whose commands
// are programs of the project.
func (c *Cloud) Service(project string, side config.Side) (tree.Service, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	service := tree.Service{
		Name: project, Packages: []string{project}, Config: []string{project}, URL: c.saved.Endpoints[project],
		Helpers: map[string][]string{},
	}
	units := unitsOf(project, c.saved.Units[config.Base])
	if side == config.Target {
		units = c.expected(project, units)
	}
	for _, one := range units {
		service.Units = append(service.Units, one.Name)
		service.Helpers[one.Name] = helpers(project)
	}
	switch {
	case c.saved.Blind != "":
		service.Units, service.Unproved = nil, c.saved.Blind
	case len(units) == 0:
		service.Unproved = "none of the units devstack@… runs a program of " + project
	}
	return service, true
}

// expected are the units that must run for the project after the upgrade: those that do, and those of base that the target's
// ENABLED_SERVICES name still. Others of base may have gone with the release. The caller holds the lock.
func (c *Cloud) expected(project string, base []unit) []unit {
	units := unitsOf(project, c.saved.Units[config.Target])
	for _, one := range base {
		there := slices.ContainsFunc(units, func(other unit) bool { return other.Name == one.Name })
		if !there && slices.Contains(c.saved.Enabled[config.Target], strings.TrimPrefix(one.Name, "devstack@")) {
			units = append(units, one)
		}
	}
	return units
}

// unitsOf picks the units whose commands are the project's.
func unitsOf(project string, units []unit) []unit {
	var found []unit
	for _, one := range units {
		if one.word(project) != "" {
			found = append(found, one)
		}
	}
	return found
}

// word is the first word of the command that names the project: a program (nova-compute), a file of its configuration
// (/etc/keystone/keystone-uwsgi-public.ini), or "" for none.
func (u unit) word(project string) string {
	for _, word := range strings.Fields(u.Command) {
		name := path.Base(strings.Trim(word, `'"`))
		if name == project || strings.HasPrefix(name, project+"-") || strings.HasPrefix(word, "/etc/"+project+"/") {
			return word
		}
	}
	return ""
}

// helpers are the programs of the data plane that a project's agents start and that outlive them: DevStack's units have
// KillMode=process.
func helpers(project string) []string {
	if project == "neutron" {
		return []string{"dnsmasq", "haproxy", "keepalived", "radvd"}
	}
	return nil
}

// Packages are the commits of what lies in the side's DEST, by project.
func (c *Cloud) Packages(_ context.Context, side config.Side) (map[string]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	code, known := c.saved.Code[side]
	if !known {
		return nil, errors.New("nobody has looked at the " + string(side) + " checkouts yet")
	}
	versions := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(code)) {
		versions[name] = version(code[name], path.Join(releaseDir(c.options.Config, side), name))
	}
	return versions, nil
}

// version is what tells one checkout's code from another's: two releases may have the same commit.
func version(commit, dir string) string { return fmt.Sprintf("git %.12s in %s", commit, dir) }
