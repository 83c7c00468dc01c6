package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"grenade/framework/exec"
)

// launcher joins the control groups, mounts the overlay, and becomes systemd-nspawn. It runs in a mount
// namespace of its own: the host never sees the mount, and it goes when the node's last process does.
const launcher = `set -eu
options=$1 root=$2
shift 2
while [ "$1" != -- ]; do
	echo $$ >"$1/cgroup.procs"
	shift
done
shift
mount -t overlay -o "$options" grenade "$root"
exec "$@"
`

// boot starts the container and sees it through until its systemd has started everything.
func (n *Nspawn) boot(ctx context.Context, c NspawnConfig) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.BootTimeout, fmt.Errorf("not ready within %s", c.BootTimeout))
	defer cancel()
	for _, tool := range []struct{ program, from string }{
		{"systemd-nspawn", "systemd-container"}, {"unshare", "util-linux"}, {"nsenter", "util-linux"}, {"ip", "iproute2"},
	} {
		if _, err := osexec.LookPath(tool.program); err != nil {
			return fmt.Errorf("boot the node: %s is missing (Debian package %s): %w", tool.program, tool.from, err)
		}
	}
	messages, err := listen()
	if err != nil {
		return err
	}
	defer messages.close()
	died, err := n.launch(c, messages.address)
	if err != nil {
		return err
	}
	heard := messages.receive()
	for seen := "nothing yet"; ; {
		select {
		case message := <-heard:
			if message.leader != 0 {
				seen = "the container's first process"
				if err := n.adopt(ctx, message.leader); err != nil {
					return n.orDead(err, died)
				}
			}
			if message.status != "" {
				seen = message.status
			}
			if message.ready && n.state.Leader != nil {
				return n.confirm(ctx)
			}
		case <-died:
			return n.dead()
		case <-ctx.Done():
			return fmt.Errorf("boot node %s: %w; last seen: %s; %s; its console: %s; log: %s", n.state.Machine,
				context.Cause(ctx), seen, n.stuck(context.WithoutCancel(ctx)), tailOf(n.Console(), 10), n.Console())
		}
	}
}

// dead is the error of a boot whose container ended.
func (n *Nspawn) dead() error {
	return fmt.Errorf("boot node %s: systemd-nspawn ended; its console: %s; log: %s",
		n.state.Machine, tailOf(n.Console(), 10), n.Console())
}

// orDead gives a mistake that is only a consequence its real name: a container that dies takes its processes
// and its link with it before systemd-nspawn itself ends.
func (n *Nspawn) orDead(err error, died <-chan struct{}) error {
	if n.Alive() {
		return err
	}
	select {
	case <-died:
		return n.dead()
	case <-time.After(supervisorLimit):
		return err
	}
}

// launch starts systemd-nspawn in a session of its own, its output in a file: it lives on when we end, and
// holds nothing of ours open. The channel closes when it ends.
func (n *Nspawn) launch(c NspawnConfig, notify string) (<-chan struct{}, error) {
	console, err := os.OpenFile(n.Console(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("boot the node: %w", err)
	}
	defer func() { _ = console.Close() }()
	root := filepath.Join(c.Dir, "root")
	// Volatile (Linux 5.10, overlayfs.rst): no sync. The layer is thrown away; what a crash of the whole
	// machine leaves of it is of no use to anybody.
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,volatile", c.Root, n.Upper(), filepath.Join(c.Dir, "work"))
	args := []string{"--mount", "--propagation", "private", "--", "/bin/sh", "-c", launcher, "grenade-node", options, root}
	args = append(args, n.state.Cgroups...)
	args = append(append(args, "--"), nspawnArgs(c, root)...)

	// Not CommandContext: the container is to outlive this process.
	cmd := osexec.Command("unshare", args...) //nolint:noctx // See above.
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = []string{
		"PATH=" + standardPath, "LANG=C.UTF-8",
		RunVariable + "=" + c.RunID, DirVariable + "=" + c.Dir,
		// Debian 13's systemd needs the unified hierarchy, also where the host is hybrid.
		"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1",
		"NOTIFY_SOCKET=" + notify,
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("boot the node: %w", err)
	}
	died := make(chan struct{})
	go func() {
		// How it ended is on the console.
		_ = cmd.Wait()
		close(died)
	}()
	supervisor, err := exec.FindProcess(cmd.Process.Pid)
	if errors.Is(err, os.ErrNotExist) {
		return died, nil
	}
	if err != nil {
		return nil, fmt.Errorf("boot the node: %w", err)
	}
	supervisor.Command = "systemd-nspawn"
	n.state.Supervisor = &supervisor
	return died, n.state.write(n.dir)
}

// nspawnArgs is the container's command line (systemd-nspawn(1)).
func nspawnArgs(c NspawnConfig, root string) []string {
	args := []string{
		"systemd-nspawn", "--quiet",
		// Only what is said here counts: no machined, no .nspawn file of the host, no journal linked to it.
		"--register=no", "--keep-unit", "--settings=no", "--link-journal=no", "--timezone=off", "--resolv-conf=off",
		"--directory=" + root, "--machine=" + c.Machine,
		"--network-veth-extra=" + c.Machine + ":" + linkInside,
		// A console that only speaks: without any (pipe) systemd has nowhere to say what it waits for.
		"--capability=all", "--console=read-only", "--notify-ready=yes",
		"--setenv=TERM=dumb", "--setenv=" + DirVariable + "=" + c.Dir,
	}
	escape := strings.NewReplacer(`\`, `\\`, ":", `\:`)
	for _, bind := range c.Binds {
		option := "--bind="
		if bind.ReadOnly {
			option = "--bind-ro="
		}
		args = append(args, option+escape.Replace(bind.Source)+":"+escape.Replace(bind.Target))
	}
	// The boot's progress goes to the console: when it hangs, that is where it says at what.
	return append(args, "--boot", "systemd.show_status=yes")
}

// adopt takes the container's first process, writes it down, and connects the network.
func (n *Nspawn) adopt(ctx context.Context, pid int) error {
	leader, err := exec.FindProcess(pid)
	if err != nil {
		return fmt.Errorf("boot node %s: its first process: %w; its console: %s", n.state.Machine, err, tailOf(n.Console(), 10))
	}
	if n.state.Supervisor == nil || !leader.ChildOf(n.state.Supervisor.PID) {
		return fmt.Errorf("boot node %s: process %d (%s) is not systemd-nspawn's", n.state.Machine, leader.PID, leader.Command)
	}
	leader.Command = "systemd"
	n.state.Leader = &leader
	if err := n.state.write(n.dir); err != nil {
		return err
	}
	return connect(ctx, n.state.Link, leader.PID, n.state.Address, n.state.Routes)
}

// confirm asks systemd itself: running, or degraded, is up.
func (n *Nspawn) confirm(ctx context.Context) error {
	ask := func(args ...string) (string, error) {
		args = append([]string{"systemctl", "is-system-running"}, args...)
		out, err := n.Output(ctx, Command{Command: exec.Command{Args: args}})
		return strings.TrimSpace(string(out)), err
	}
	state, err := ask()
	if state == "starting" || state == "initializing" {
		// Only then: waiting needs the message bus, which a root need not have.
		state, err = ask("--wait")
	}
	// Degraded comes with an exit code of 1.
	if state == "running" || state == "degraded" {
		return nil
	}
	return fmt.Errorf("boot node %s: systemd says %q: %w; %s; its console: %s; log: %s", n.state.Machine,
		state, err, n.stuck(context.WithoutCancel(ctx)), tailOf(n.Console(), 10), n.Console())
}

// stuck tells what a boot waits for, as far as systemd answers.
func (n *Nspawn) stuck(ctx context.Context) string {
	if !n.Alive() {
		return "systemd does not run"
	}
	ask := func(args ...string) string {
		out, err := n.Output(ctx, Command{Command: exec.Command{Args: args, Timeout: 5 * time.Second}})
		if text := strings.Join(strings.Fields(string(out)), " "); text != "" {
			return text
		}
		if err != nil {
			return err.Error()
		}
		return "none"
	}
	return fmt.Sprintf("state: %s; jobs: %s; failed: %s", ask("systemctl", "is-system-running"),
		ask("systemctl", "list-jobs", "--no-legend", "--plain"), ask("systemctl", "--failed", "--no-legend", "--plain"))
}

// tailOf gives the last lines of a file, in one line.
func tailOf(path string, lines int) string {
	const window = 4 << 10
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	from := max(0, info.Size()-window)
	data, err := io.ReadAll(io.NewSectionReader(file, from, window))
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(data), "")), "\n")
	for i, line := range all {
		all[i] = strings.TrimSpace(line)
	}
	return strings.Join(all[max(0, len(all)-lines):], " | ")
}
