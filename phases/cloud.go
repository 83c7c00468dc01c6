package phases

import (
	"context"

	"grenade/framework/config"
	"grenade/framework/node"
	"grenade/framework/probe"
	"grenade/framework/report"
	"grenade/framework/tree"
)

// Cloud is the cloud under test as the phases see any. It is implemented by the tree packages of framework/, each of which is
// WithTrees or Foreign as well.
type Cloud interface {
	// Start makes the base release's node: roots, boot, trees. It starts the
	// making of what the target needs and does not wait for it.
	Start(ctx context.Context, services []string) error
	// Attach connects to the node that an earlier process started.
	Attach(ctx context.Context) error
	// Node is where the commands of the shell contract run, or those of a Foreign cloud's operator.
	Node() node.Node
	// Service describes how the side's tree runs the project.
	Service(project string, side config.Side) (tree.Service, bool)
	// Requires returns the closure of the projects' requirements, in the order
	// in which services start.
	Requires(projects []string) ([]string, error)
	// Access says how to talk to the cloud as its administrator.
	Access() tree.Access
	// CollectLogs copies the node's own logs into dir.
	CollectLogs(ctx context.Context, dir string) error
	// Dispose removes the node and all that it left on the host.
	Dispose(ctx context.Context) error
	// Close ends what this process still does for the cloud.
	Close() error
	// Timings says how long the parts of Start took.
	Timings() []report.Timing
}

// WithTrees is a cloud with a base and a target tree in its node, whose scripts plugins source, and whose processes can be seen.
type WithTrees interface {
	Cloud
	// Compose writes the side's local.conf, with the lines that plugins add.
	Compose(ctx context.Context, side config.Side, lines []tree.LocalrcLine) error
	// Stack runs the base tree's stack.sh; its output goes to logFile.
	Stack(ctx context.Context, logFile string, onLine func(string)) error
	// PrepareTarget makes the target release's code available in the node, and
	// says what differs between the releases' units.
	PrepareTarget(ctx context.Context, logFile string, onLine func(string)) (tree.UnitReport, error)
	// Smoke runs the smoke set of the side's Tempest, and writes its results to
	// the file report, as JUnit does.
	Smoke(ctx context.Context, side config.Side, report, logFile string, onLine func(string)) error
	// TreeDir is the side's tree as seen in the node.
	TreeDir(side config.Side) string
	// Root is the side's root file system as seen in the node.
	Root(side config.Side) string
	// Packages are the versions of the side's packages, by name.
	Packages(ctx context.Context, side config.Side) (map[string]string, error)
	// Look brings what Service says up to date, after something has been started or stopped.
	Look(ctx context.Context) error
	// Code is the code that each of a service's processes runs, in their order.
	Code(ctx context.Context, service tree.Service, processes []probe.Process) ([]tree.Code, error)
	// Enabled is ENABLED_SERVICES: the names of what the cloud holds.
	Enabled() []string
}

// Foreign is a cloud that is not ours: it has no trees, and nobody can look into it.
// Its operator's commands stand in the place of plugins' scripts.
type Foreign interface {
	Cloud
	// Script is what stands in the place of the project's script of that name.
	Script(project, name string) (tree.Script, error)
	// Version is which version of the project runs, as its operator tells; "" when he
	// does not.
	Version(ctx context.Context, project string) (string, error)
}
