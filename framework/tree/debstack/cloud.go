package debstack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
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

// madeRoot is a root that was made in the background, or why there is none.
type madeRoot struct {
	root *Root
	err  error
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

// Requires returns the closure of the projects' requirements as the embedded
// tree declares it, before there is a cloud.
func Requires(projects []string) ([]string, error) {
	cloud, err := NewCloud(CloudOptions{})
	if err != nil {
		return nil, err
	}
	return cloud.Requires(projects)
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

// Start makes the node: base root, boot, trees. The target's root is built
// beside it, and first needed by PrepareTarget.
func (c *Cloud) Start(ctx context.Context, services []string) (err error) {
	if err := c.known.checkTogether(services, c.options.Checkouts); err != nil {
		return err
	}
	cache, mirror, err := c.cache(ctx)
	if err != nil {
		return err
	}
	c.options.Progress("whether both releases have the packages")
	if err := c.checkPair(ctx, cache, mirror, services); err != nil {
		return err
	}
	c.ensureTarget(ctx, cache)
	madeGuest, stopGuest, err := c.ensureGuest(ctx, mirror, services)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopGuest()) }()
	began := time.Now()
	if c.base, err = cache.Ensure(ctx, c.want(config.Base), c.options.Progress); err != nil {
		return err
	}
	c.took("base root", report.Roots, began)
	c.held = append(c.held, c.base)
	c.tellAge(c.base)
	if err := c.tellExtra(config.Base, c.base); err != nil {
		return err
	}
	passwords := NewPasswords()
	if c.options.Config.BaseLayer != "" {
		if c.layer, passwords, err = openLayer(c.options.Config, services, c.base); err != nil {
			return err
		}
		c.options.Note(fmt.Sprintf("the base cloud is a copy of one saved %s ago (BASE_LAYER)", roundAge(time.Since(c.layer.Saved))))
	}
	if err := passwords.Save(c.options.Config.SaveDir); err != nil {
		return err
	}
	c.keepSecret(passwords)
	c.saved = savedCloud{Services: services, passwords: passwords, BaseRoot: c.base.Path, BasePackages: c.base.Packages}
	if err := c.saved.write(c.options.Config.SaveDir); err != nil {
		return err
	}
	if err := c.takeGuest(madeGuest); err != nil {
		return err
	}
	return c.boot(ctx, cache)
}

func (c *Cloud) cache(ctx context.Context) (*Cache, *Mirror, error) {
	mirror, err := FindMirror(ctx, c.options.Config.DebianMirror, Host{})
	if err != nil {
		return nil, nil, err
	}
	mirror.AllowExpired = c.options.Config.AllowExpiredArchive
	return &Cache{Dir: c.options.Config.CacheDir, Archives: mirror, Builder: &Mmdebstrap{Mirror: mirror}}, mirror, nil
}

// ensureTarget starts to build or check the target's root.
func (c *Cloud) ensureTarget(ctx context.Context, cache *Cache) {
	target := make(chan madeRoot, 1)
	c.target = target
	began := time.Now()
	ctx, c.stopTarget = context.WithCancel(ctx)
	go func() {
		defer close(target)
		root, err := cache.Ensure(ctx, c.want(config.Target), c.options.Progress)
		c.took("target root", report.Roots, began)
		target <- madeRoot{root, err}
	}()
}

// want is the root of a side. It holds every service that the tree knows and
// the archive has, and the projects of enabled plugins, so that one root serves
// every selection.
func (c *Cloud) want(side config.Side) Want {
	release := c.release(side)
	there := slices.DeleteFunc(c.known.installed(c.options.Checkouts), func(lib Service) bool { return slices.Contains(c.leftOut[side], lib.Name) })
	return Want{
		Release: release.Name, Suite: release.Suite, Packages: append(NodePackages(), there.Packages(release.Number)...), Extra: c.extra[side],
	}
}

// tellExtra says which of the extra packages the side's root holds. It is an
// error when they are not what is tested.
func (c *Cloud) tellExtra(side config.Side, root *Root) error {
	extra := c.extra[side]
	used, err := extra.Used(root.Packages)
	if len(used) > 0 {
		c.options.Note(fmt.Sprintf("%s: %s", c.extraSetting(side).Setting, some(used)))
	}
	return err
}

// tellAge says that nobody could be asked whether the root is current.
func (c *Cloud) tellAge(root *Root) {
	if root.Offline {
		c.options.Note(fmt.Sprintf("%s of %s: %s old, and the archive could not be asked whether it is current: %v", root.Kind, root.Suite, roundAge(root.Age), root.Why))
	}
}

// keepSecret sees to it that no password is published.
func (c *Cloud) keepSecret(passwords Passwords) {
	for _, value := range passwords {
		c.options.Secrets.Add(value)
	}
}

func (c *Cloud) boot(ctx context.Context, cache *Cache) error {
	began := time.Now()
	c.options.Progress("boot of the node")
	upper, work := c.targetLayer()
	for _, dir := range []string{upper, work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("node directory: %w", err)
		}
	}
	if err := os.Chown(c.options.Config.SaveDir, StackUID, StackGID); err != nil {
		return fmt.Errorf("SAVE_DIR: %w", err)
	}
	if layer := c.options.Config.BaseLayer; layer != "" {
		c.options.Progress("copy of the base layer")
		if err := os.MkdirAll(NodeDir(c.options.Config), 0o700); err != nil {
			return fmt.Errorf("node directory: %w", err)
		}
		if err := copyLayer(ctx, filepath.Join(layer, layerDir), filepath.Join(NodeDir(c.options.Config), layerDir)); err != nil {
			return err
		}
	}
	started, err := node.Start(ctx, node.NspawnConfig{
		RunID: c.options.RunID, Dir: NodeDir(c.options.Config), Root: c.base.Path, Address: c.options.Config.NodeAddress,
		Routes: []netip.Prefix{c.options.Config.FloatingRange}, Machine: LinkName(c.options.Config),
		Binds: append([]node.Bind{
			{Source: c.options.Config.SaveDir, Target: c.options.Config.SaveDir},
			{Source: filepath.Dir(upper), Target: filepath.Dir(upper)},
			{Source: cache.Entries(), Target: c.rootsInNode(), ReadOnly: true},
		}, checkoutBinds(c.options.Checkouts)...),
		Prepare: c.prepareUpper,
	})
	if err != nil {
		return environment(err)
	}
	c.node = started
	c.took("boot", report.Boot, began)
	return nil
}

// prepareUpper writes what the node needs before it boots: the home of the
// user stack, the guest's files, and both trees.
func (c *Cloud) prepareUpper(upper string) error {
	if c.options.Config.BaseLayer != "" {
		return c.prepareTrees(upper)
	}
	if err := c.base.PrepareUpper(upper, c.options.Config.StackRoot); err != nil {
		return err
	}
	if err := c.writeGuest(upper); err != nil {
		return err
	}
	return c.prepareTrees(upper)
}

func (c *Cloud) prepareTrees(upper string) error {
	for _, side := range []config.Side{config.Base, config.Target} {
		release := filepath.Join(upper, filepath.Dir(c.TreeDir(side)))
		if err := os.MkdirAll(release, 0o755); err != nil {
			return fmt.Errorf("release directory: %w", err)
		}
		if err := own(release, 0o755, StackUID, StackGID); err != nil {
			return fmt.Errorf("release directory: %w", err)
		}
		if err := c.shell.Write(filepath.Join(upper, c.TreeDir(side)), StackUID, StackGID); err != nil {
			return err
		}
	}
	return c.prepareCheckouts(upper)
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

// Compose writes the side's local.conf into its tree.
func (c *Cloud) Compose(ctx context.Context, side config.Side, lines []tree.LocalrcLine) error {
	text, overruled, err := composeLocalConf(c.localrc(side), c.options.Config.LocalConf[side], lines)
	if err != nil {
		return err
	}
	for _, sentence := range overruled {
		c.options.Note(sentence)
	}
	_, err = c.node.Run(ctx, node.Command{User: stackUser, Command: exec.Command{
		Args: []string{"sh", "-c", "umask 077; cat >local.conf"}, Dir: c.TreeDir(side), Stdin: []byte(text),
	}})
	if err != nil {
		return fmt.Errorf("write local.conf: %w", err)
	}
	return nil
}

// localrc is what a side's tree is told.
func (c *Cloud) localrc(side config.Side) []Setting {
	settings := c.options.Config
	release, root := settings.Base, ""
	upper, work := c.targetLayer()
	if side == config.Target {
		release, root = settings.Target, c.Root(config.Target)
	}
	local := []Setting{
		{"STACK_ROOT", settings.StackRoot},
		{"DEST", filepath.Dir(c.TreeDir(side))},
		{"HOST_IP", c.node.Address()},
		{"SERVICE_HOST", c.node.Address()},
		{"REGION_NAME", region},
		{"FLOATING_RANGE", settings.FloatingRange.String()},
		{"GUEST_DIR", guestDir(settings)},
		{"DEFAULT_IMAGE_NAME", guestImage},
		{"ENABLED_SERVICES", strings.Join(c.Enabled(), ",")},
		{"DEBSTACK_SIDE", string(side)},
		{"DEBSTACK_RELEASE", release.Name},
		{"DEBSTACK_ROOT", root},
		{"DEBSTACK_SKIP_RELEASE", pythonBool(settings.SkipRelease)},
	}
	if side == config.Target {
		// DEBSTACK_LOWER is only known when the target's root is there.
		local = append(local, Setting{"DEBSTACK_UPPER", upper}, Setting{"DEBSTACK_WORK", work})
	}
	return append(local, c.saved.passwords.Settings()...)
}

// pythonBool is how DevStack's shell writes it.
func pythonBool(value bool) string {
	if value {
		return "True"
	}
	return "False"
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

// Stack runs the base tree's stack.sh, which makes a new cloud, or starts the one
// that was copied.
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
	return err
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

// PrepareTarget waits for the target's root, makes it available in the node,
// and says how the units of the cloud's services differ.
func (c *Cloud) PrepareTarget(ctx context.Context, logFile string, onLine func(string)) (tree.UnitReport, error) {
	if err := c.awaitTarget(ctx, onLine); err != nil {
		return tree.UnitReport{}, err
	}
	began := time.Now()
	_, err := c.node.Run(ctx, node.Command{User: stackUser, Command: exec.Command{
		Args: []string{"bash", "-ec", "source ./stackrc; source lib/target; debstack_prepare_target"},
		Dir:  c.TreeDir(config.Target), Env: append(c.environ(), "DEBSTACK_LOWER="+c.targetLower()),
		Log: logFile, OnLine: onLine, Timeout: c.options.Config.ScriptTimeout,
	}})
	if err != nil {
		return tree.UnitReport{}, err
	}
	c.took("target tree", report.Script, began)
	return c.unitReport()
}

// unitReport compares the releases' units, service by service.
func (c *Cloud) unitReport() (tree.UnitReport, error) {
	var units tree.UnitReport
	for _, name := range c.saved.Services {
		service, known := c.known.Find(name)
		if !known {
			continue
		}
		if service.FromPlugin {
			units.Differences = append(units.Differences, name+": its plugin writes its units, on both sides")
			continue
		}
		difference, err := UnitDifference(c.saved.BaseRoot, c.saved.TargetRoot, service)
		if err != nil {
			return units, err
		}
		units.Differences = append(units.Differences, difference.String())
		if err := difference.Judge(); err != nil {
			units.Undeclared = append(units.Undeclared, err.Error())
		}
	}
	return units, nil
}

func (c *Cloud) awaitTarget(ctx context.Context, onLine func(string)) error {
	if c.saved.TargetRoot != "" {
		return nil
	}
	began := time.Now()
	onLine("the target's root")
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case made := <-c.target:
		if made.err != nil {
			return made.err
		}
		c.tellAge(made.root)
		c.held = append(c.held, made.root)
		if err := c.tellExtra(config.Target, made.root); err != nil {
			return err
		}
		c.saved.TargetRoot, c.saved.TargetPackages = made.root.Path, made.root.Packages
	}
	c.took("wait for the target root", report.Roots, began)
	return c.saved.write(c.options.Config.SaveDir)
}

// Node is where everything of the shell contract runs.
func (c *Cloud) Node() node.Node { return c.node }

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
