package probe

import (
	"context"
	"fmt"
	"path"
	"strings"

	"grenade/framework/exec"
	"grenade/framework/node"
)

// Packages gives the versions of installed Debian packages, read from the package database of the root file
// system at root ("" is the node's own). A package that is not there, or not fully installed, is not in the
// answer.
func Packages(ctx context.Context, n node.Node, root string, names []string) (map[string]string, error) {
	database := path.Join("/", root, "var/lib/dpkg")
	// All of them, not the wanted ones: then an exit code other than 0 is an error, not a missing package.
	out, err := n.Output(ctx, node.Command{Command: exec.Command{
		Args: []string{"dpkg-query", "--admindir=" + database, "--show",
			"--showformat=${Package}\t${db:Status-Abbrev}\t${Version}\n"},
		Timeout: limit,
	}})
	if err != nil {
		return nil, fmt.Errorf("package versions in %s: %w", database, err)
	}
	installed := parsePackages(string(out))
	if len(installed) == 0 {
		return nil, fmt.Errorf("package versions in %s: no package is installed there", database)
	}
	found := map[string]string{}
	for _, name := range names {
		if version, ok := installed[name]; ok {
			found[name] = version
		}
	}
	return found, nil
}

// parsePackages reads lines of name, state and version; the state of an installed package is "ii", or "hi" when
// it is held (dpkg-query(1)).
func parsePackages(text string) map[string]string {
	installed := map[string]string{}
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 3 {
			continue
		}
		if state := strings.TrimSpace(fields[1]); len(state) == 2 && state[1] == 'i' {
			installed[fields[0]] = fields[2]
		}
	}
	return installed
}
