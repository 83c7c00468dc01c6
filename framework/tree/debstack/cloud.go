package debstack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/framework/report"
	"grenade/framework/tree"
)

// Cloud is an OpenStack cloud from Debian packages in one nspawn node: the
// node's own system is the base release, the target release is a second root
// beside it.
type Cloud struct {
	options CloudOptions
	shell   Tree
	known   Services

	node *node.Nspawn
	base *Root
	// guest is what the cloud's servers boot from; nil when it has no images to
	// be made.
	guest *Root
	// held are the roots that nobody may remove while the node lives.
	held   []*Root
	target <-chan madeRoot
	// stopTarget ends the making of the target's root.
	stopTarget context.CancelFunc
	saved      savedCloud
	// leftOut are the libs whose packages a side's archive lacks.
	leftOut map[config.Side][]string
	// extra are the packages that a side prefers over its archive's.
	extra map[config.Side]*Extra
	// layer is the base cloud that was copied instead of made.
	layer layer

	mu      sync.Mutex
	timings []report.Timing
	// units are those of a service in a root.
	units map[string]map[string]Unit
}

// CloudOptions is what a cloud is made of.
type CloudOptions struct {
	RunID  string
	Config *config.Config
	// Progress is told what is being waited for.
	Progress func(string)
	// Note is told what people should know of the cloud.
	Note func(string)
	// Secrets is told every secret that the cloud makes up, and hides them.
	Secrets Secrets
	// Checkouts are those of plugins, which run in place in the node.
	Checkouts []tree.Checkout
}

// Secrets keeps what must not be published.
type Secrets interface {
	Add(values ...string)
	Bytes(text []byte) []byte
}

// NewCloud returns a cloud that does not run yet. Its services are read from
// the embedded tree.
func NewCloud(options CloudOptions) (*Cloud, error) {
	shell, err := NewTree()
	if err != nil {
		return nil, err
	}
	known, err := shell.Services()
	if err != nil {
		return nil, err
	}
	return &Cloud{options: options, shell: shell, known: known, leftOut: map[config.Side][]string{}, extra: map[config.Side]*Extra{}, units: map[string]map[string]Unit{}}, nil
}

// Attach connects to the node that an earlier process of the run started.
func (c *Cloud) Attach(ctx context.Context) error {
	saved, err := readSavedCloud(c.options.Config.SaveDir)
	if err != nil {
		return err
	}
	c.saved = saved
	c.keepSecret(saved.passwords)
	if c.node, err = node.Attach(NodeDir(c.options.Config)); err != nil {
		return environment(err)
	}
	if saved.TargetRoot != "" {
		return nil
	}
	cache, mirror, err := c.cache(ctx)
	if err != nil {
		return err
	}
	if err := c.checkPair(ctx, cache, mirror, saved.Services); err != nil {
		return err
	}
	c.ensureTarget(ctx, cache)
	return nil
}

// Stack runs the base tree's stack.sh, which makes a new cloud, or starts the one
// that was copied. One that fails is no verdict on the upgrade: its error belongs to
// ErrEnvironment.
func (c *Cloud) Stack(ctx context.Context, logFile string, onLine func(string)) error {
	began := time.Now()
	args := []string{"./stack.sh"}
	if c.options.Config.BaseLayer != "" {
		args = append(args, "--again")
	}
	_, err := c.node.Run(ctx, node.Command{User: stackUser, Command: exec.Command{
		Args: args, Dir: c.TreeDir(config.Base), Env: c.environ(),
		Log: logFile, OnLine: c.withNotes(onLine), Timeout: c.options.Config.ScriptTimeout,
	}})
	c.took("stack.sh", report.StackSh, began)
	if err != nil {
		return environment(err)
	}
	return nil
}

// withNotes also tells Note what stack.sh wants people to know: its lines that
// begin with "note: ".
func (c *Cloud) withNotes(onLine func(string)) func(string) {
	return func(line string) {
		if text, ok := strings.CutPrefix(line, "note: "); ok {
			c.options.Note(text)
		}
		if onLine != nil {
			onLine(line)
		}
	}
}

// Node is where everything of the shell contract runs.
func (c *Cloud) Node() node.Node { return c.node }

// Access is the administrator's.
func (c *Cloud) Access() tree.Access { return access(c.node, c.saved.passwords) }

// AccessOf is the administrator's way into the cloud of these settings, for
// tools that stand beside a run.
func AccessOf(settings *config.Config, where node.Node) (tree.Access, error) {
	passwords, err := LoadPasswords(settings.SaveDir)
	if err != nil {
		return tree.Access{}, err
	}
	return access(where, passwords), nil
}

func access(where node.Node, passwords Passwords) tree.Access {
	return tree.Access{
		AuthURL: fmt.Sprintf("http://%s:%d/v3", where.Address(), identityPort), Region: region,
		Username: "admin", Password: passwords["ADMIN_PASSWORD"], Project: "admin",
	}
}

// identityPort is where Debian's keystone listens.
const identityPort = 5000

// Dispose removes the node, and everything that it, or a killed run's node,
// left on this machine. It lets the cached roots go.
func (c *Cloud) Dispose(ctx context.Context) error {
	what, err := node.DisposeLeftovers(ctx, NodeDir(c.options.Config))
	if err != nil {
		return environment(err)
	}
	if c.node == nil && what != "" {
		c.options.Note("removed what an earlier run left: " + what)
	}
	c.node = nil
	var failures []error
	for _, root := range c.held {
		failures = append(failures, root.Release())
	}
	c.held = nil
	return errors.Join(failures...)
}

// Close ends what this process still does for the cloud, which is left as it
// is: the making of a root that nobody waits for any more.
func (c *Cloud) Close() error {
	if c.stopTarget == nil {
		return nil
	}
	c.stopTarget()
	for made := range c.target {
		if made.err == nil {
			if err := made.root.Release(); err != nil {
				return fmt.Errorf("let the target's root go: %w", err)
			}
		}
	}
	return nil
}

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
