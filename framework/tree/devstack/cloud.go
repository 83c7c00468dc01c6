package devstack

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/framework/report"
	"grenade/framework/tree"
	"grenade/framework/tree/debstack"
)

// Cloud is an OpenStack cloud that DevStack installs, on this machine or in an nspawn node.
type Cloud struct {
	options Options
	node    node.Node
	// root is the container's root file system, held as long as the container lives.
	root *debstack.Root

	// mu is for what follows: rows that only read run side by side, and each looks what runs.
	mu      sync.Mutex
	saved   state
	timings []report.Timing
}

// Options is what a cloud is made of.
type Options struct {
	RunID  string
	Config *config.Config
	// Progress is told what is being waited for.
	Progress func(string)
	// Note is told what people should know of the cloud.
	Note func(string)
	// Secrets is told every secret of the cloud, and hides them.
	Secrets Secrets
	// Checkouts are those of plugins, which run in place.
	Checkouts []tree.Checkout
	// Root is the root file system of a container; "" has one built.
	Root string
}

// Secrets keeps what must not be published.
type Secrets interface {
	Add(values ...string)
	Bytes(text []byte) []byte
}

// NewCloud returns a cloud that does not run yet.
func NewCloud(options Options) *Cloud { return &Cloud{options: options} }

// Requires returns the projects and all that they require, in the order in which services start. What projects need of
// each other is OpenStack's affair and not the tree's: debstack has it written down. DevStack runs all of them, whatever
// is selected.
func Requires(projects []string) ([]string, error) { return debstack.Requires(projects) }

// Requires returns the projects and all that they require, as the function of that name.
func (c *Cloud) Requires(projects []string) ([]string, error) { return Requires(projects) }

// Attach connects to the cloud that an earlier process of the run made.
func (c *Cloud) Attach(context.Context) error {
	saved, err := readState(c.options.Config.SaveDir)
	if err != nil {
		return err
	}
	if saved.Node != string(c.options.Config.Node) || saved.External != c.options.Config.External {
		return tree.Setting(fmt.Errorf("the run began with GRENADE_NODE=%s, GRENADE_USE_EXTERNAL_DEVSTACK=%v: go on with the same", saved.Node, saved.External))
	}
	c.saved = saved
	c.options.Secrets.Add(saved.secrets()...)
	if c.options.Config.Node == config.Local {
		c.node = c.local()
		return nil
	}
	if c.node, err = node.Attach(debstack.NodeDir(c.options.Config)); err != nil {
		return tree.Environment(err)
	}
	return nil
}

// Node is where everything of the shell contract runs.
func (c *Cloud) Node() node.Node { return c.node }

// TreeDir is the side's tree as seen in the node. Upstream calls the sides' directories old and new.
func (c *Cloud) TreeDir(side config.Side) string { return treeDir(c.options.Config, side) }

func treeDir(settings *config.Config, side config.Side) string {
	return filepath.Join(releaseDir(settings, side), "devstack")
}

// releaseDir is where DevStack puts a side's projects: DEST.
func releaseDir(settings *config.Config, side config.Side) string {
	name := "old"
	if side == config.Target {
		name = "new"
	}
	return filepath.Join(settings.StackRoot, name)
}

// Root is the node's own on both sides: what tells them apart is the code.
func (c *Cloud) Root(config.Side) string { return "/" }

// Enabled is ENABLED_SERVICES of the base tree, as its own stackrc says.
func (c *Cloud) Enabled() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.saved.Enabled[config.Base])
}

// Access is the administrator's; it is known when the base cloud runs.
func (c *Cloud) Access() tree.Access {
	c.mu.Lock()
	defer c.mu.Unlock()
	access := c.saved.Access
	access.Elsewhere = "native checks know where files lie in a cloud from packages, and this one is DevStack's"
	access.Guestless = "native checks look through guests that testify (image grenade-guest), and DevStack's cloud has none"
	access.Unsaved = c.saved.Unsaved
	if access.Unsaved == "" {
		access.SQL = []string{"--defaults-extra-file=" + filepath.Join(c.options.Config.SaveDir, sqlOptions)}
	}
	return access
}

// Close has nothing to end.
func (c *Cloud) Close() error { return nil }

// Timings says how long the parts took.
func (c *Cloud) Timings() []report.Timing {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.timings)
}

func (c *Cloud) took(part string, kind report.Kind, since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timings = append(c.timings, report.Timing{Name: part, Kind: kind, Started: since, Duration: time.Since(since)})
}

// command is one of the stack user's, in the node, with the environment that the trees' own scripts get.
func (c *Cloud) command(args ...string) node.Command {
	return node.Command{User: c.options.Config.StackUser, Command: exec.Command{Args: args, Env: environ(c.options.Config)}}
}

// ask runs one of the scripts in node/ as the stack user, or as root, and returns what it says, line by line, fields
// separated by tabs. What the tree's functions print on the way goes to the log, which may be "".
func (c *Cloud) ask(ctx context.Context, asRoot bool, log, name string, args ...string) ([][]string, error) {
	text, err := script(name)
	if err != nil {
		return nil, err
	}
	command := c.command(append([]string{"bash", "-s", "--"}, args...)...)
	command.Stdin, command.Log, command.Timeout = text, log, c.options.Config.ScriptTimeout
	if asRoot {
		command.User = ""
	}
	out, err := c.node.Output(ctx, command)
	if err != nil {
		return nil, err
	}
	return fields(string(out)), nil
}
