// Package node is where the cloud runs: this host itself (Local), or a private systemd-nspawn container with
// a root file system of its own (Nspawn). A node runs commands; what they mean is no business of this package.
package node

import (
	"context"
	"crypto/rand"
	"fmt"

	"grenade/framework/exec"
)

const (
	// RunVariable is in the environment of every process that a run starts, on the host and in the node; its
	// value is the run's id. What a killed run left is found by it.
	RunVariable = "GRENADE_RUN"
	// ScriptVariable marks the processes of one command; its value is unique. Those that are left when the
	// command has run into its limit are found by it.
	ScriptVariable = "GRENADE_SCRIPT"
	// DirVariable is in the environment of the container's supervisor; its value is the node's directory.
	DirVariable = "GRENADE_NODE"

	// standardPath is the PATH of a command that is given no environment.
	standardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Command is a command to run in a node. Its Log is a file of the host; its Dir is a directory of the node.
type Command struct {
	exec.Command
	// User is the user of the node that runs it; "" is root. On Nspawn a nil Env means a small standard
	// environment for that user, never the caller's.
	User string
}

// Node runs commands where the cloud is.
type Node interface {
	// Run and Output are exec.Run and exec.Output, inside the node. Every command gets a cookie of its own
	// (ScriptVariable) unless it has one.
	Run(ctx context.Context, c Command) (exec.Result, error)
	Output(ctx context.Context, c Command) ([]byte, error)
	// Address is the IP address at which the node is reached from this host, without a prefix length.
	Address() string
	// Kind is "local" or "nspawn".
	Kind() string
	// HostPath is where this host finds a file of the node, as long as it runs. An absolute link on the way
	// there, or in that place, leads to the host's own.
	HostPath(path string) string
}

// marked gives the command its cookie and the run's id.
func marked(c exec.Command, run string) exec.Command {
	if c.Cookie == "" {
		c.Cookie = ScriptVariable + "=" + rand.Text()
	}
	if run != "" {
		c.Env = append(c.Env[:len(c.Env):len(c.Env)], RunVariable+"="+run)
	}
	return c
}

// userName is the user that a command asks for.
func userName(c Command) string {
	if c.User == "" {
		return "root"
	}
	return c.User
}

// setpriv is the argument vector that turns root into the given user, with that user's groups, and without
// PAM: no login session, no delay.
func setpriv(uid, gid int) []string {
	return []string{"setpriv", fmt.Sprintf("--reuid=%d", uid), fmt.Sprintf("--regid=%d", gid), "--init-groups", "--"}
}
