package external

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
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

// Check tells what can be known before anybody is asked: whether the commands for these projects can be run, and who the
// administrator is. Its errors are tree.ErrSetting.
func Check(settings *config.Config, projects []string) error {
	var mistakes []error
	if err := (commands{settings.ExternalCommands}).check(projects); err != nil {
		mistakes = append(mistakes, fmt.Errorf("EXTERNAL_COMMANDS: %w", err))
	}
	if _, _, err := credentials(os.Getenv); err != nil {
		mistakes = append(mistakes, err)
	}
	if len(mistakes) == 0 {
		return nil
	}
	return tree.Setting(errors.Join(mistakes...))
}

// Start logs in, and keeps in SAVE_DIR what it sees. It changes nothing in the cloud.
func (c *Cloud) Start(ctx context.Context, _ []string) error {
	seen, err := see(ctx, c.options.Config.ExternalImage)
	if err != nil {
		return err
	}
	c.hold(seen)
	return seen.write(c.options.Config.SaveDir)
}

// Attach takes over what Start saw, since the cloud may be down by now: it asks nobody. Credentials of another cloud are
// tree.ErrSetting.
func (c *Cloud) Attach(context.Context) error {
	seen, err := seenBefore(c.options.Config.SaveDir)
	if err != nil {
		return err
	}
	c.hold(seen)
	return nil
}

func (c *Cloud) hold(seen cloudSeen) {
	c.options.Secrets.Add(seen.Access.Password)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = seen
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
	var script tree.Script
	if path == "" {
		script.Missing = fmt.Sprintf("EXTERNAL_COMMANDS has no %s for %s", verb, project)
	} else {
		script.Commands = append(script.Commands, []string{path, project})
	}
	if verb == upgrade {
		// Also without an upgrade: what was stopped must run again.
		starts, err := c.commands.find(project, start)
		if err != nil {
			return tree.Script{}, tree.Setting(err)
		}
		if starts != "" {
			script.Commands = append(script.Commands, []string{starts, project})
		}
	}
	return script, nil
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

// CollectLogs has none: they are the operator's.
func (c *Cloud) CollectLogs(context.Context, string) error { return nil }

// Dispose leaves the cloud as it is.
func (c *Cloud) Dispose(context.Context) error { return nil }

// Close has nothing to end.
func (c *Cloud) Close() error { return nil }

// Timings has none.
func (c *Cloud) Timings() []report.Timing { return nil }
