package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Real is this machine.
type Real struct{}

var _ System = Real{}

// LookPath also looks where Debian keeps programs of the administrator, which
// an ordinary user's PATH lacks.
func (Real) LookPath(name string) error {
	_, err := lookPath(name)
	return err
}

func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin/", "/usr/sbin/", "/sbin/"} {
		if found, err := exec.LookPath(dir + name); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("looking for %s: %w", name, err)
}

// Root tells whether our effective user is 0.
func (Real) Root() bool { return os.Geteuid() == 0 }

// PasswordlessSudo tries, with 5 s for a sudo that asks the network.
func (Real) PasswordlessSudo(ctx context.Context) error { return try(ctx, "sudo", "-n", "true") }

// LoadModule calls modprobe, which needs root.
func (r Real) LoadModule(ctx context.Context, name string) error {
	modprobe, err := lookPath("modprobe")
	if err != nil {
		return err
	}
	if r.Root() {
		return try(ctx, modprobe, name)
	}
	return try(ctx, "sudo", "-n", modprobe, name)
}

// try runs a short command; the error is its first line on stderr, if any.
func try(ctx context.Context, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	err := cmd.Run()
	if line, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n"); err != nil && line != "" {
		return errors.New(line)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Free is what an ordinary user may still use.
func (Real) Free(path string) (uint64, uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	var who unix.Stat_t
	if err := unix.Stat(path, &who); err != nil {
		return 0, 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Bavail * uint64(st.Bsize), who.Dev, nil //nolint:gosec // a block size is positive
}

// notExist also covers a path below a file.
func notExist(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}

// FileSystems reads /proc/filesystems: "nodev<TAB>overlay" a line.
func (Real) FileSystems() ([]string, error) {
	text, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return nil, fmt.Errorf("listing file systems: %w", err)
	}
	var names []string
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		words := strings.Fields(line)
		if len(words) > 0 {
			names = append(names, words[len(words)-1])
		}
	}
	return names, nil
}

// Addresses lists the IPv4 addresses of all interfaces.
func (Real) Addresses() ([]Address, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	var all []Address
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("addresses of %s: %w", i.Name, err)
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
				all = append(all, Address{Interface: i.Name, Prefix: p})
			}
		}
	}
	return all, nil
}
