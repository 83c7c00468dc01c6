package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"grenade/framework/exec"
)

// Local is this host itself: what the cloud does happens here. There is nothing to start and to dispose of.
type Local struct {
	run     string
	address string
}

var _ Node = (*Local)(nil)

// NewLocal gives the node that is this host. Address is the one at which the cloud's APIs answer; "" is
// 127.0.0.1.
func NewLocal(runID, address string) *Local {
	if address == "" {
		address = "127.0.0.1"
	}
	return &Local{run: runID, address: address}
}

// Kind is "local".
func (l *Local) Kind() string { return "local" }

// HostPath is the path itself.
func (l *Local) HostPath(path string) string { return path }

// Address is the address that NewLocal was given.
func (l *Local) Address() string { return l.address }

// Run runs a command on this host. A command of another user needs root, or sudo without a password.
func (l *Local) Run(ctx context.Context, c Command) (exec.Result, error) {
	command, err := l.command(c)
	if err != nil {
		return exec.Result{ExitCode: -1, Log: c.Log}, &exec.Error{Args: c.Args, ExitCode: -1, Log: c.Log, Err: err}
	}
	result, err := exec.Run(ctx, command)
	return result, named(err, c.Args)
}

// Output runs a command on this host and returns its stdout.
func (l *Local) Output(ctx context.Context, c Command) ([]byte, error) {
	command, err := l.command(c)
	if err != nil {
		return nil, &exec.Error{Args: c.Args, ExitCode: -1, Log: c.Log, Err: err}
	}
	out, err := exec.Output(ctx, command)
	return out, named(err, c.Args)
}

// command puts what changes the user in front of the command.
func (l *Local) command(c Command) (exec.Command, error) {
	command := c.Command
	if command.Env == nil {
		command.Env = os.Environ()
	}
	command = marked(command, l.run)
	wanted, err := user.Lookup(userName(c))
	if err != nil {
		return command, fmt.Errorf("run as %s: %w", userName(c), err)
	}
	uid, err := strconv.Atoi(wanted.Uid)
	if err != nil {
		return command, fmt.Errorf("run as %s: user id: %w", userName(c), err)
	}
	gid, err := strconv.Atoi(wanted.Gid)
	if err != nil {
		return command, fmt.Errorf("run as %s: group id: %w", userName(c), err)
	}
	switch os.Geteuid() {
	case uid:
	case 0:
		command.Args = append(setpriv(uid, gid), command.Args...)
		command.LogOwner = &exec.Owner{UID: uid, GID: gid}
	default:
		command.Args = append(sudo(wanted.Username, command.Env, command.Cookie), command.Args...)
	}
	return command, nil
}

// sudo is the argument vector that becomes another user without a question. The environment goes through by
// name, so that no value is seen in the list of processes; only PATH, which sudo replaces, is set again.
func sudo(name string, env []string, cookie string) []string {
	var names []string
	path := standardPath
	for _, entry := range append(env[:len(env):len(env)], cookie) {
		key, value, _ := strings.Cut(entry, "=")
		if key == "PATH" {
			path = value
		} else if key != "" {
			names = append(names, key)
		}
	}
	return []string{"sudo", "-n", "-u", name, "--preserve-env=" + strings.Join(names, ","), "--", "env", "PATH=" + path}
}

// named lets an error speak of the command that the caller gave, without what a node puts in front of it.
func named(err error, args []string) error {
	var failed *exec.Error
	if errors.As(err, &failed) {
		failed.Args = args
	}
	return err
}
