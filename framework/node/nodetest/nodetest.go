// Package nodetest gives tests a real node, and looks whether anything of one is left on the host.
package nodetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	grenadeexec "grenade/framework/exec"
	"grenade/framework/node"
)

// RootVariable names, in the environment, the directory of a root file system with systemd. It is never written
// to.
const RootVariable = "GRENADE_TEST_ROOT"

// Config gives the configuration of a node that can be started here and now: a free address range, a name of
// its own, a directory of the test's. The test is skipped where there can be no node. The node has a user "stack",
// and none of the services that its root may come with.
func Config(tb testing.TB) node.NspawnConfig {
	tb.Helper()
	root := os.Getenv(RootVariable)
	switch {
	case root == "":
		tb.Skipf("needs a root file system: %s is not set", RootVariable)
	case os.Geteuid() != 0:
		tb.Skip("needs root, to start a container")
	}
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		tb.Skip("needs systemd-nspawn (Debian package systemd-container)")
	}
	address := freeAddress(tb)
	octet := address.Addr().As4()[2]
	return node.NspawnConfig{
		RunID:   fmt.Sprintf("test-%d-%d", os.Getpid(), time.Now().UnixNano()),
		Dir:     filepath.Join(tb.TempDir(), "node"),
		Root:    root,
		Address: address,
		Machine: fmt.Sprintf("grenade-t%d", octet),
		Prepare: func(upper string) error { return Prepare(root, upper) },
	}
}

// Start boots a node and disposes of it when the test ends.
func Start(tb testing.TB, c node.NspawnConfig) *node.Nspawn {
	tb.Helper()
	started := time.Now()
	n, err := node.Start(tb.Context(), c)
	tb.Cleanup(func() {
		if _, err := node.DisposeLeftovers(context.WithoutCancel(tb.Context()), c.Dir); err != nil {
			tb.Errorf("the test's node: %v", err)
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Logf("booted in %s", time.Since(started).Round(time.Millisecond))
	return n
}

// Prepare puts a user "stack" into a node and masks the services that an OpenStack root starts at boot.
func Prepare(root, upper string) error {
	for file, line := range map[string]string{
		"/etc/passwd": "stack:*:4242:4242::/opt/stack:/bin/bash\n", "/etc/group": "stack:x:4242:\n",
	} {
		old, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return fmt.Errorf("users of the root: %w", err)
		}
		if strings.Contains("\n"+string(old), "\nstack:") {
			continue
		}
		if err := node.PutFile(root, upper, file, append(old, line...), 0o644); err != nil {
			return err
		}
	}
	wanted, err := filepath.Glob(filepath.Join(root, "etc/systemd/system/multi-user.target.wants/*.service"))
	if err != nil {
		return fmt.Errorf("units of the root: %w", err)
	}
	for _, unit := range wanted {
		if err := node.PutLink(root, upper, "/etc/systemd/system/"+filepath.Base(unit), "/dev/null"); err != nil {
			return err
		}
	}
	return nil
}

// freeAddress finds a range that nobody on this host has.
func freeAddress(tb testing.TB) netip.Prefix {
	tb.Helper()
	var err error
	for i := range 200 {
		octet := byte(1 + (os.Getpid()+i)%250)
		address := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 98, octet, 2}), 24)
		if err = node.AddressTaken(address); err == nil {
			return address
		}
	}
	tb.Fatalf("no free address range: %v", err)
	return netip.Prefix{}
}

// Leftovers lists what the host still has of a node: processes, mounts, its link, its routes, its control
// groups, its directory. Nil is what a disposal must leave.
func Leftovers(ctx context.Context, c node.NspawnConfig) ([]string, error) {
	var found []string
	for name, value := range map[string]string{node.DirVariable: c.Dir, node.RunVariable: c.RunID} {
		processes, err := grenadeexec.FindCookie(ctx, name, value)
		if err != nil {
			return nil, err
		}
		for _, p := range processes {
			found = append(found, fmt.Sprintf("process %d: %s", p.PID, p.Command))
		}
	}
	if _, err := net.InterfaceByName(c.Machine); err == nil {
		found = append(found, "link "+c.Machine)
	}
	for table, sign := range map[string]string{"/proc/self/mountinfo": c.Dir, "/proc/net/route": c.Machine + "\t"} {
		data, err := os.ReadFile(table)
		if err != nil {
			return nil, fmt.Errorf("leftovers: %w", err)
		}
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, sign) {
				found = append(found, table+": "+strings.TrimSpace(line))
			}
		}
	}
	groups, err := controlGroups("/sys/fs/cgroup", c.RunID)
	if err != nil {
		return nil, err
	}
	found = append(found, groups...)
	if _, err := os.Lstat(filepath.Join("/run/systemd/nspawn/propagate", c.Machine)); err == nil {
		found = append(found, "systemd-nspawn's directory for "+c.Machine)
	}
	if _, err := os.Lstat(c.Dir); err == nil {
		found = append(found, "directory "+c.Dir)
	}
	return found, nil
}

// controlGroups lists the control groups that have the word in their name.
func controlGroups(top, word string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			// Groups of others come and go while we look.
			return nil
		case err != nil:
			return err
		case entry.IsDir() && strings.Contains(entry.Name(), word):
			found = append(found, "control group "+path)
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("leftovers: %w", err)
	}
	return found, nil
}
