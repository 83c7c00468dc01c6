// Package host is the room of the machine that a run is started on: what it
// must have before anything is built.
package host

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// Lack is something that the machine does not have and a run needs. It is no
// mistake in the configuration and no verdict on an upgrade: its exit code is 3.
type Lack struct {
	Message string // one sentence: what is missing, what to do
}

func (l *Lack) Error() string { return l.Message }

// IsLack tells whether err is, wraps or joins a Lack.
func IsLack(err error) bool {
	var l *Lack
	return errors.As(err, &l)
}

// Tool is a program that a run calls.
type Tool struct {
	Name string
	// Package is the Debian package that holds it.
	Package string
}

// Tools are what the default cloud (debstack in an nspawn node) needs.
func Tools() []Tool {
	return []Tool{
		{"mmdebstrap", "mmdebstrap"},
		{"systemd-nspawn", "systemd-container"},
		{"nsenter", "util-linux"},
		{"unshare", "util-linux"},
		{"setpriv", "util-linux"},
		{"mount", "mount"},
		{"ip", "iproute2"},
		{"bash", "bash"},
	}
}

// LocalTools are what a DevStack cloud on this machine needs of it before DevStack
// installs anything.
func LocalTools() []Tool {
	return []Tool{
		{"bash", "bash"},
		{"git", "git"},
		{"setpriv", "util-linux"},
	}
}

// Needs says what a run is going to do.
type Needs struct {
	Tools []Tool
	// Space is needed below each of these directories, which need not exist
	// yet. Two on the same file system need the sum.
	Space []Space
	// Address is the node's; its network must not overlap one that the machine
	// is in. Zero: not checked.
	Address netip.Prefix
	// Floating is the network behind the node that the host gets a route to; optional.
	Floating netip.Prefix
	// OwnInterfaces are prefixes of interface names that a run makes itself, so
	// that a leftover (which the start removes) is not in the way.
	OwnInterfaces []string
	// Bare: no container is booted, so the kernel need not be able to.
	Bare bool
}

// Space is how much must be free for a directory.
type Space struct {
	Dir   string
	Bytes uint64
	// For says what fills it: "package roots".
	For string
}

// System answers what Preflight asks; Real is the machine.
type System interface {
	LookPath(name string) error
	// Root tells whether we are root.
	Root() bool
	// PasswordlessSudo runs sudo; its error says what sudo said.
	PasswordlessSudo(ctx context.Context) error
	// Free gives the bytes that are available at an existing path, and a
	// number that is the same for paths of the same file system. The error is
	// fs.ErrNotExist when the path is not there.
	Free(path string) (bytes, filesystem uint64, err error)
	// FileSystems are the names in /proc/filesystems.
	FileSystems() ([]string, error)
	// LoadModule loads a kernel module.
	LoadModule(ctx context.Context, name string) error
	Addresses() ([]Address, error)
}

// Address is an address of this machine.
type Address struct {
	Interface string
	Prefix    netip.Prefix
}

// Preflight returns everything that is missing, each as a *Lack; nil when the
// run can start. It changes nothing but for loading the kernel's overlay module
// where it is a module.
func Preflight(ctx context.Context, sys System, needs Needs) []error {
	var lacks []error
	lack := func(format string, args ...any) { lacks = append(lacks, &Lack{fmt.Sprintf(format, args...)}) }

	tools(sys, needs.Tools, lack)
	if !sys.Root() {
		if err := sys.PasswordlessSudo(ctx); err != nil {
			lack("run this as root, or allow this user passwordless sudo (sudo said: %v)", err)
		}
	}
	space(sys, needs.Space, lack)
	if !needs.Bare {
		kernel(ctx, sys, lack)
	}
	address(sys, needs, lack)
	return lacks
}

// tools names all packages in one command: that is what the user will type.
func tools(sys System, tools []Tool, lack func(string, ...any)) {
	var missing, packages []string
	seen := map[string]bool{}
	for _, t := range tools {
		if sys.LookPath(t.Name) == nil {
			continue
		}
		missing = append(missing, t.Name)
		if !seen[t.Package] {
			seen[t.Package] = true
			packages = append(packages, t.Package)
		}
	}
	if len(missing) > 0 {
		lack("not installed: %s; install with: apt-get install %s", strings.Join(missing, ", "), strings.Join(packages, " "))
	}
}

func space(sys System, spaces []Space, lack func(string, ...any)) {
	type disk struct {
		free, need uint64
		dirs       []string
	}
	disks := map[uint64]*disk{}
	var order []uint64
	for _, s := range spaces {
		free, filesystem, err := freeAbove(sys, s.Dir)
		if err != nil {
			lack("free space of %s (for %s) cannot be read: %v", s.Dir, s.For, err)
			continue
		}
		d := disks[filesystem]
		if d == nil {
			d = &disk{free: free}
			disks[filesystem] = d
			order = append(order, filesystem)
		}
		d.need += s.Bytes
		d.dirs = append(d.dirs, fmt.Sprintf("%s (%s, %s)", s.Dir, s.For, size(s.Bytes)))
	}
	for _, filesystem := range order {
		if d := disks[filesystem]; d.free < d.need {
			lack("only %s free where %s must be: make room or choose another directory", size(d.free), strings.Join(d.dirs, " and "))
		}
	}
}

// freeAbove asks for the nearest directory that exists.
func freeAbove(sys System, dir string) (bytes, filesystem uint64, err error) {
	for {
		bytes, filesystem, err = sys.Free(dir)
		if err == nil || !notExist(err) || dir == filepath.Dir(dir) {
			return bytes, filesystem, err
		}
		dir = filepath.Dir(dir)
	}
}

// kernel checks what the node stands on: overlayfs for its root, cgroup v2 for
// its systemd.
func kernel(ctx context.Context, sys System, lack func(string, ...any)) {
	has := func(name string) (bool, error) {
		all, err := sys.FileSystems()
		for _, have := range all {
			if have == name {
				return true, nil
			}
		}
		return false, err
	}
	overlay, err := has("overlay")
	if err != nil {
		lack("the kernel's file systems cannot be read: %v", err)
		return
	}
	if !overlay {
		why := sys.LoadModule(ctx, "overlay")
		if overlay, _ = has("overlay"); !overlay {
			if why == nil {
				why = errors.New("loading the module changed nothing")
			}
			lack("this kernel has no overlayfs (modprobe overlay: %v): use a kernel with CONFIG_OVERLAY_FS", why)
		}
	}
	if cgroup2, _ := has("cgroup2"); !cgroup2 {
		lack("this kernel has no cgroup v2, which the node's systemd needs: use a kernel with CONFIG_CGROUPS, version 4.5 or later")
	}
}

func address(sys System, needs Needs, lack func(string, ...any)) {
	if !needs.Address.IsValid() {
		return
	}
	all, err := sys.Addresses()
	if err != nil {
		lack("this machine's addresses cannot be read: %v", err)
		return
	}
	for _, a := range all {
		if slices.Contains(needs.OwnInterfaces, a.Interface) {
			continue
		}
		if a.Prefix.Overlaps(needs.Address) {
			lack("the node's network %s (NODE_ADDRESS) is taken: %s has %s; set NODE_ADDRESS to an address in a free network",
				needs.Address.Masked(), a.Interface, a.Prefix)
		}
		if needs.Floating.IsValid() && a.Prefix.Overlaps(needs.Floating) {
			lack("the network of floating addresses %s (FLOATING_RANGE) is taken: %s has %s; set FLOATING_RANGE to a free network",
				needs.Floating, a.Interface, a.Prefix)
		}
	}
}

func size(bytes uint64) string { return fmt.Sprintf("%.1f GB", float64(bytes)/1e9) }
