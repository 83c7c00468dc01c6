package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"grenade/framework/exec"
)

// ErrGone is in the error of everything that needs a running node when there is none any more.
var ErrGone = errors.New("the node is gone")

// Bind shows a directory or file of the host in the node.
type Bind struct {
	Source string
	// Target is the path in the node; "" is the same as Source. It is made if it is missing.
	Target   string
	ReadOnly bool
}

// NspawnConfig says what node to start. All but RunID, Dir, Root and Address may be left out.
type NspawnConfig struct {
	// RunID marks all that belongs to the run; letters, digits, dots, dashes and underscores.
	RunID string
	// Dir is the node's directory on the host. It is made, with mode 0700, and must be on a file system that
	// can be the upper layer of an overlay. What is in its upper/ already is kept: it may be a copy of an
	// earlier node's layer.
	Dir string
	// Root is the root file system of the node; it is the overlay's lower layer and never written to.
	Root string
	// Binds are shown in the node.
	Binds []Bind
	// Address is the node's IPv4 address with its prefix length; the host gets the prefix's first address.
	Address netip.Prefix
	// Routes are networks behind the node, which the host shall reach through it; they go with the link.
	Routes []netip.Prefix
	// Machine is the node's name, its host name, and the name of the host's end of its link; at most 15
	// characters; default "grenade". The link is not named ve-…: a host whose network is managed by
	// systemd-networkd has a rule for these, which would reconfigure it.
	Machine string
	// BootTimeout bounds the time until systemd has started everything; default 2 minutes.
	BootTimeout time.Duration
	// Prepare, when given, is called before the boot with the overlay's upper layer; use PutFile there.
	Prepare func(upper string) error
}

// Nspawn is a systemd-nspawn container whose root is an overlay on a cached root file system, with a network
// namespace of its own that is linked to the host.
type Nspawn struct {
	dir   string
	state state
}

var _ Node = (*Nspawn)(nil)

// Start boots a node and returns when its systemd is running (or degraded: a failed unit is for the caller to
// judge). On the host it makes the directory, one network link with one address, one control group, and the
// container's processes, which outlive the caller. Mounts are made in a mount namespace of the node's own.
//
// When the boot fails, processes, link and control group are removed, and the directory is left for those who
// want to know why; the error has the console's last lines. A caller that is killed in between leaves a
// directory from which DisposeLeftovers finds everything.
func Start(ctx context.Context, c NspawnConfig) (*Nspawn, error) {
	c, err := c.complete()
	if err != nil {
		return nil, err
	}
	n, err := prepare(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := n.boot(ctx, c); err != nil {
		// The caller's context may be what has ended: cleaning up has its own.
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), killLimit)
		defer cancel()
		return nil, errors.Join(err, n.Kill(cleanup))
	}
	return n, nil
}

// Attach enters the node that a Start, perhaps of an earlier process, left running in dir. It fails with
// fs.ErrNotExist when none was started there, with ErrGone when it does not run any more.
func Attach(dir string) (*Nspawn, error) {
	dir = filepath.Clean(dir)
	s, err := readState(dir)
	if err != nil {
		return nil, err
	}
	n := &Nspawn{dir: dir, state: s}
	if !s.alive() {
		return nil, fmt.Errorf("node %s of run %s in %s: %w", s.Machine, s.Run, dir, ErrGone)
	}
	return n, nil
}

// Kind is "nspawn".
func (n *Nspawn) Kind() string { return "nspawn" }

// HostPath leads through the root directory of the node's first process, which has mounted there what the
// node has (proc(5)).
func (n *Nspawn) HostPath(path string) string {
	return filepath.Join("/proc", strconv.Itoa(n.Leader().PID), "root", path)
}

// Address is the node's IP address.
func (n *Nspawn) Address() string { return n.state.Address.Addr().String() }

// Dir is the node's directory on the host.
func (n *Nspawn) Dir() string { return n.dir }

// Upper is the directory, on the host, of everything that was written in the node: valid while it runs and,
// for its logs, after Kill.
func (n *Nspawn) Upper() string { return filepath.Join(n.dir, "upper") }

// Console is the file with what the node's boot said.
func (n *Nspawn) Console() string { return filepath.Join(n.dir, "console.log") }

// Link is the name of the host's end of the network link.
func (n *Nspawn) Link() string { return n.state.Link }

// RunID is the run that started the node.
func (n *Nspawn) RunID() string { return n.state.Run }

// Alive says whether the node's systemd runs.
func (n *Nspawn) Alive() bool { return n.state.alive() }

// Leader is the node's systemd as the host sees it.
func (n *Nspawn) Leader() exec.Process {
	if n.state.Leader == nil {
		return exec.Process{}
	}
	return *n.state.Leader
}

// prepare makes the directory and everything in it, and writes down what is about to be started.
func prepare(ctx context.Context, c NspawnConfig) (*Nspawn, error) {
	n := &Nspawn{dir: c.Dir, state: state{
		Run: c.RunID, Machine: c.Machine, Root: c.Root, Address: c.Address, Link: c.Machine, Routes: c.Routes,
		Started: time.Now(), Boot: bootID(),
	}}
	if _, err := os.Lstat(filepath.Join(c.Dir, stateFile)); err == nil {
		return nil, fmt.Errorf("start a node in %s: one was started there before: dispose of it first", c.Dir)
	}
	if linkExists(n.state.Link) {
		return nil, fmt.Errorf("start a node: the host has a network interface named %s already", n.state.Link)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("start a node: %w", err)
	}
	if err := os.Chmod(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("start a node: %w", err)
	}
	// A volatile overlay refuses the work directory of an earlier one.
	if err := os.RemoveAll(filepath.Join(c.Dir, "work")); err != nil {
		return nil, fmt.Errorf("start a node: %w", err)
	}
	// upper/ is what "/" looks like in the node: everybody may enter it.
	if err := makeDirs(c.Root, filepath.Join(c.Dir, "upper"), "."); err != nil {
		return nil, fmt.Errorf("start a node: %w", err)
	}
	for _, name := range []string{"work", "root"} {
		if err := os.MkdirAll(filepath.Join(c.Dir, name), 0o755); err != nil {
			return nil, fmt.Errorf("start a node: %w", err)
		}
	}
	if err := putOwnFiles(c, n.Upper()); err != nil {
		return nil, err
	}
	if c.Prepare != nil {
		if err := c.Prepare(n.Upper()); err != nil {
			return nil, fmt.Errorf("prepare the node's files: %w", err)
		}
	}
	places, err := ownCgroups()
	if err != nil {
		return nil, err
	}
	name := c.Machine + "-" + c.RunID
	for _, place := range places {
		n.state.Cgroups = append(n.state.Cgroups, filepath.Join(place, name))
	}
	if err := n.state.write(c.Dir); err != nil {
		return nil, err
	}
	if _, err := makeCgroups(places, name); err != nil {
		return nil, errors.Join(err, removeCgroups(context.WithoutCancel(ctx), n.state.Cgroups))
	}
	return n, nil
}

// complete fills in the defaults and refuses what cannot work, all of it at once.
func (c NspawnConfig) complete() (NspawnConfig, error) {
	if c.Machine == "" {
		c.Machine = "grenade"
	}
	if c.BootTimeout <= 0 {
		c.BootTimeout = 2 * time.Minute
	}
	var wrong []error
	mistake := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf("node: "+format, args...)) }
	if os.Geteuid() != 0 {
		mistake("a systemd-nspawn container needs root")
	}
	if !wellNamed(c.RunID, 64) {
		mistake("run id %q: want letters, digits, dots, dashes and underscores", c.RunID)
	}
	// The name is that of a network interface (15 characters, IFNAMSIZ) and a host name.
	if !wellNamed(c.Machine, 15) || strings.ContainsAny(c.Machine, "._") {
		mistake("name %q: want at most 15 letters, digits and dashes", c.Machine)
	}
	for name, path := range map[string]string{"directory": c.Dir, "root": c.Root} {
		// Overlay options are split at commas, layers at colons.
		if !filepath.IsAbs(path) || path != filepath.Clean(path) || strings.ContainsAny(path, ",:\\\"\n") {
			mistake("%s %q: want a clean absolute path without comma, colon, quote and backslash", name, path)
		}
	}
	if !c.Address.IsValid() || !c.Address.Addr().Is4() || c.Address.Addr() == gateway(c.Address) ||
		c.Address.Addr() == c.Address.Masked().Addr() || c.Address.Bits() > 30 {
		mistake("address %s: want an IPv4 address with its prefix length, not the first of the prefix: that is the host's", c.Address)
	}
	if !hasSystemd(c.Root) {
		mistake("root %s: no root file system with systemd", c.Root)
	}
	// The caller's slice stays as it is.
	c.Binds = slices.Clone(c.Binds)
	for i, bind := range c.Binds {
		if bind.Target == "" {
			c.Binds[i].Target = bind.Source
		}
		if !filepath.IsAbs(bind.Source) || !filepath.IsAbs(c.Binds[i].Target) {
			mistake("bind of %q to %q: want absolute paths", bind.Source, bind.Target)
		} else if _, err := os.Stat(bind.Source); err != nil {
			mistake("bind: %w", err)
		}
	}
	return c, errors.Join(wrong...)
}

// wellNamed says whether a name is safe as a part of paths, options and environments.
func wellNamed(name string, limit int) bool {
	if name == "" || len(name) > limit || strings.HasPrefix(name, "-") || strings.HasPrefix(name, ".") {
		return false
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-", r):
		default:
			return false
		}
	}
	return true
}

// hasSystemd looks for what nspawn boots.
func hasSystemd(root string) bool {
	for _, place := range []string{"usr/lib/systemd/systemd", "lib/systemd/systemd"} {
		if info, err := os.Lstat(filepath.Join(root, place)); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// account is a line of passwd(5).
type account struct {
	name     string
	uid, gid int
	home     string
}

// account looks a user up in the running node's own passwd file.
func (n *Nspawn) account(name string) (account, error) {
	data, err := os.ReadFile(n.HostPath("/etc/passwd"))
	if errors.Is(err, fs.ErrNotExist) && !n.Alive() {
		return account{}, n.gone()
	}
	if err != nil {
		return account{}, fmt.Errorf("users of the node: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(fields) < 7 || fields[0] != name {
			continue
		}
		uid, uidErr := strconv.Atoi(fields[2])
		gid, gidErr := strconv.Atoi(fields[3])
		if err := errors.Join(uidErr, gidErr); err != nil {
			return account{}, fmt.Errorf("user %s of the node: %w", name, err)
		}
		return account{name: name, uid: uid, gid: gid, home: fields[5]}, nil
	}
	return account{}, fmt.Errorf("the node has no user %q", name)
}

// gone is the error for a node that died.
func (n *Nspawn) gone() error {
	err := fmt.Errorf("node %s: %w", n.state.Machine, ErrGone)
	if said := tailOf(n.Console(), 5); said != "" {
		err = fmt.Errorf("%w; its console: %s", err, said)
	}
	return err
}
