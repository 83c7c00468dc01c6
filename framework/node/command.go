package node

import (
	"context"
	"fmt"
	"strconv"

	"grenade/framework/exec"
)

// inner runs in the node, as the user, before the command itself: the caller's umask and working directory
// are the host's and mean nothing there. It leaves no process behind.
const inner = `umask 022; cd -- "$1" || exit 126; shift; exec "$@"`

// innerShell is the same for a person: a home directory that is missing is no reason to stay outside.
const innerShell = `umask 022; cd -- "$1" 2>/dev/null || cd /; shift; exec "$@"`

// Run runs a command in the node. The error tells when it is the node that died.
func (n *Nspawn) Run(ctx context.Context, c Command) (exec.Result, error) {
	command, err := n.command(c)
	if err != nil {
		return exec.Result{ExitCode: -1, Log: c.Log}, &exec.Error{Args: c.Args, ExitCode: -1, Log: c.Log, Err: err}
	}
	result, err := exec.Run(ctx, command)
	return result, n.explain(err, c)
}

// Output runs a command in the node and returns its stdout.
func (n *Nspawn) Output(ctx context.Context, c Command) ([]byte, error) {
	command, err := n.command(c)
	if err != nil {
		return nil, &exec.Error{Args: c.Args, ExitCode: -1, Log: c.Log, Err: err}
	}
	out, err := exec.Output(ctx, command)
	return out, n.explain(err, c)
}

// ShellArgs is the command line, for the host, of an interactive command in the node: argv, or a login shell,
// as the given user with exactly the given environment. The environment is part of the command line, where
// every user of the host can read it: no secrets.
func (n *Nspawn) ShellArgs(user string, env []string, argv ...string) []string {
	if user == "" {
		user = "root"
	}
	who, err := n.account(user)
	if err != nil {
		// The command line is given all the same: running it tells what is wrong.
		who = account{name: user, home: "/"}
	}
	if env == nil {
		env = standardEnvironment(who)
	}
	if len(argv) == 0 {
		argv = []string{"bash", "--login"}
	}
	args := append(n.enter(who, err == nil), "env", "-i", RunVariable+"="+n.state.Run)
	args = append(args, env...)
	return append(append(args, "/bin/sh", "-c", innerShell, "sh", who.home), argv...)
}

// command puts the way into the node in front of the command. The environment is handed down from process to
// process: no value is seen in a command line.
func (n *Nspawn) command(c Command) (exec.Command, error) {
	if !n.Alive() {
		return c.Command, n.gone()
	}
	who, err := n.account(userName(c))
	if err != nil {
		return c.Command, err
	}
	command := c.Command
	if command.Env == nil {
		command.Env = standardEnvironment(who)
	}
	command = marked(command, n.state.Run)
	directory := c.Dir
	if directory == "" {
		directory = "/"
	}
	command.Dir = ""
	command.LogOwner = &exec.Owner{UID: who.uid, GID: who.gid}
	command.Args = append(n.enter(who, true), "/bin/sh", "-c", inner, "sh", directory)
	command.Args = append(command.Args, c.Args...)
	return command, nil
}

// enter is the argument vector that goes into all of the node's namespaces and becomes the user.
func (n *Nspawn) enter(who account, known bool) []string {
	args := []string{"nsenter", "--target=" + strconv.Itoa(n.Leader().PID), "--all", "--"}
	if !known {
		return append(args, "setpriv", "--reuid="+who.name, "--regid="+who.name, "--init-groups", "--")
	}
	return append(args, setpriv(who.uid, who.gid)...)
}

// explain lets an error speak of the command that the caller gave, and adds the death of the node.
func (n *Nspawn) explain(err error, c Command) error {
	if err == nil {
		return nil
	}
	err = named(err, c.Args)
	if !n.Alive() {
		return fmt.Errorf("%w; %w", err, n.gone())
	}
	return err
}

// standardEnvironment is for a command that is given none.
func standardEnvironment(who account) []string {
	return []string{
		"PATH=" + standardPath, "LANG=C.UTF-8", "TERM=dumb",
		"HOME=" + who.home, "USER=" + who.name, "LOGNAME=" + who.name,
	}
}
