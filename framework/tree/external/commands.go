package external

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The operator's commands: programs of these names in EXTERNAL_COMMANDS, called with the project's name. One in a directory
// of the project's name is for that project alone.
const (
	stop     = "stop"
	upgrade  = "upgrade"
	start    = "start"
	version  = "version"
	snapshot = "snapshot"
)

// commands is EXTERNAL_COMMANDS.
type commands struct{ dir string }

// find returns the path of the command for the project, "" when the operator has none.
func (c commands) find(project, verb string) (string, error) {
	for _, path := range []string{filepath.Join(c.dir, project, verb), filepath.Join(c.dir, verb)} {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue
		case err != nil:
			return "", fmt.Errorf("command %s for %s: %w", verb, project, err)
		case info.IsDir():
			return "", fmt.Errorf("command %s for %s: %s is a directory", verb, project, path)
		}
		if err := unix.Access(path, unix.X_OK); err != nil {
			return "", fmt.Errorf("command %s for %s: %s cannot be executed (chmod +x)", verb, project, path)
		}
		return path, nil
	}
	return "", nil
}

// check holds when every command that is there can be run, and at least one of the projects can be upgraded.
func (c commands) check(projects []string) error {
	if info, err := os.Stat(c.dir); err != nil {
		return fmt.Errorf("the directory of your programs: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("%s is no directory", c.dir)
	}
	var mistakes []error
	upgrades := 0
	for _, project := range projects {
		for _, verb := range []string{stop, upgrade, start, version, snapshot} {
			path, err := c.find(project, verb)
			if err != nil {
				mistakes = append(mistakes, err)
			} else if verb == upgrade && path != "" {
				upgrades++
			}
		}
	}
	if upgrades == 0 {
		mistakes = append(mistakes, fmt.Errorf("%s has no program %s, nor one for a project (keystone/%s): nothing would be upgraded", c.dir, upgrade, upgrade))
	}
	return errors.Join(mistakes...)
}
