package external

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/framework/probe"
	"grenade/framework/report"
	"grenade/framework/tree"
	"grenade/framework/tree/debstack"
)

// Cloud is a cloud of somebody else's.
type Cloud struct {
	options  Options
	node     *node.Local
	commands commands

	mu   sync.Mutex
	seen cloudSeen
}

// Options is what is known of the cloud before it is asked.
type Options struct {
	RunID  string
	Config *config.Config
	// Secrets is told the administrator's password.
	Secrets interface{ Add(values ...string) }
}

// NewCloud returns a cloud that nobody has talked to yet.
func NewCloud(options Options) *Cloud {
	return &Cloud{options: options, commands: commands{options.Config.ExternalCommands}, node: node.NewLocal(options.RunID+"@"+options.Config.StackRoot, "")}
}

// Start logs in, and looks whether the commands for these projects can be run. It changes nothing.
func (c *Cloud) Start(ctx context.Context, services []string) error {
	if err := c.commands.check(services); err != nil {
		return tree.Setting(fmt.Errorf("EXTERNAL_COMMANDS: %w", err))
	}
	return c.Attach(ctx)
}

// Attach logs in anew.
func (c *Cloud) Attach(ctx context.Context) error {
	seen, err := see(ctx, c.options.Config.ExternalImage)
	if err != nil {
		return err
	}
	c.options.Secrets.Add(seen.Access.Password)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = seen
	return nil
}

// Script is what stands in the place of a plugin's script: the operator's command, or nothing, and why.
func (c *Cloud) Script(project, name string) (tree.Script, error) {
	verb := map[string]string{"shutdown.sh": stop, "upgrade.sh": upgrade, "snapshot.sh": snapshot}[name]
	if verb == "" {
		return tree.Script{Missing: name + " looks into the node, and this cloud is seen from outside"}, nil
	}
	path, err := c.commands.find(project, verb)
	if err != nil {
		return tree.Script{}, tree.Setting(err)
	}
	if path == "" {
		return tree.Script{Missing: fmt.Sprintf("EXTERNAL_COMMANDS has no %s for %s", verb, project)}, nil
	}
	args := []string{path, project}
	if verb == upgrade {
		starts, err := c.commands.find(project, start)
		if err != nil {
			return tree.Script{}, tree.Setting(err)
		}
		if starts != "" {
			args = []string{"sh", "-ec", `"$1" "$3"; "$2" "$3"`, "sh", path, starts, project}
		}
	}
	return tree.Script{Args: args}, nil
}

// Version is what the operator's command says of the project, without blanks around it; "" when there is no such command. It
// is an error when it says nothing.
func (c *Cloud) Version(ctx context.Context, project string) (string, error) {
	path, err := c.commands.find(project, version)
	if err != nil || path == "" {
		return "", err
	}
	out, err := c.node.Output(ctx, node.Command{User: c.options.Config.StackUser, Command: exec.Command{
		Args: []string{path, project}, Timeout: c.options.Config.ScriptTimeout,
	}})
	if err != nil {
		return "", fmt.Errorf("version of %s: %w", project, err)
	}
	said := strings.Join(strings.Fields(string(out)), " ")
	if said == "" {
		return "", fmt.Errorf("version of %s: %s said nothing", project, path)
	}
	return said, nil
}

// Service is known of a project that the catalog has.
func (c *Cloud) Service(project string, _ config.Side) (tree.Service, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	url, known := c.seen.Endpoints[project]
	return tree.Service{Name: project, URL: url, Unproved: "this cloud is seen from outside"}, known
}

// Access is the administrator's.
func (c *Cloud) Access() tree.Access {
	c.mu.Lock()
	defer c.mu.Unlock()
	access, settings := c.seen.Access, c.options.Config
	access.Elsewhere = "this cloud is seen from outside"
	access.Unsaved = "the databases are in a cloud that is seen from outside"
	access.PublicNetwork, access.GuestImage, access.GuestFlavor = settings.ExternalNetwork, settings.ExternalImage, settings.ExternalFlavor
	return access
}

// Requires is OpenStack's affair, as debstack has it written down.
func (c *Cloud) Requires(projects []string) ([]string, error) { return debstack.Requires(projects) }

// Node is this machine, where the operator's commands run.
func (c *Cloud) Node() node.Node { return c.node }

// Compose has no tree to write to.
func (c *Cloud) Compose(context.Context, config.Side, []tree.LocalrcLine) error { return nil }

// Stack has nothing to build.
func (c *Cloud) Stack(context.Context, string, func(string)) error { return nil }

// PrepareTarget is part of the operator's own upgrade.
func (c *Cloud) PrepareTarget(context.Context, string, func(string)) (tree.UnitReport, error) {
	return tree.UnitReport{}, nil
}

// Smoke has no Tempest.
func (c *Cloud) Smoke(context.Context, config.Side, string, string, func(string)) error {
	return errors.New("a cloud that is seen from outside has no Tempest of ours")
}

// TreeDir is nowhere.
func (c *Cloud) TreeDir(config.Side) string { return "" }

// Root is nowhere.
func (c *Cloud) Root(config.Side) string { return "" }

// Packages are not seen.
func (c *Cloud) Packages(context.Context, config.Side) (map[string]string, error) { return nil, nil }

// Look sees nothing that Service does not say.
func (c *Cloud) Look(context.Context) error { return nil }

// Code is not seen.
func (c *Cloud) Code(context.Context, tree.Service, []probe.Process) ([]tree.Code, error) {
	return nil, nil
}

// Enabled names no services: settings are not run.
func (c *Cloud) Enabled() []string { return nil }

// CollectLogs has none: they are the operator's.
func (c *Cloud) CollectLogs(context.Context, string) error { return nil }

// Dispose leaves the cloud as it is.
func (c *Cloud) Dispose(context.Context) error { return nil }

// Close has nothing to end.
func (c *Cloud) Close() error { return nil }

// Timings has none.
func (c *Cloud) Timings() []report.Timing { return nil }
