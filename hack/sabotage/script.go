package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"grenade/hack/internal/harness"
)

// scriptOf finds the script of the project's in-tree plugin where the run has
// materialised it: a directory <number>_<project>.
func scriptOf(site harness.Site, project, name string) (string, error) {
	var found []string
	err := filepath.WalkDir(site.GrenadeDir(), func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.Type().IsRegular() && entry.Name() == name && strings.HasSuffix(filepath.Base(filepath.Dir(path)), "_"+project) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("find %s of %s: %w", name, project, err)
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%d files like *_%s/%s below %s, not one: %v", len(found), project, name, site.GrenadeDir(), found)
	}
	return found[0], nil
}

// rewrite replaces the script's text, keeping its owner and mode. The file is
// replaced as a whole: a bash that is reading the old one is not disturbed.
func rewrite(path string, change func(string) string) error {
	before, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("sabotage a script: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("sabotage a script: %w", err)
	}
	uid, gid, err := owner(info)
	if err != nil {
		return fmt.Errorf("sabotage %s: %w", path, err)
	}
	scratch := path + ".sabotage"
	if err := os.WriteFile(scratch, []byte(change(string(before))), info.Mode().Perm()); err != nil {
		return fmt.Errorf("sabotage a script: %w", err)
	}
	if err := os.Chmod(scratch, info.Mode().Perm()); err != nil {
		return fmt.Errorf("sabotage a script: %w", err)
	}
	if err := os.Chown(scratch, uid, gid); err != nil {
		return fmt.Errorf("sabotage a script: %w", err)
	}
	if err := os.Rename(scratch, path); err != nil {
		return fmt.Errorf("sabotage a script: %w", err)
	}
	return nil
}

// withPrologue puts the lines before everything else but the shebang.
func withPrologue(script, lines string) string {
	if first, rest, found := strings.Cut(script, "\n"); found && strings.HasPrefix(first, "#!") {
		return first + "\n" + lines + rest
	}
	return lines + script
}

// marker is what replaced scripts print, so that their output can be found again.
const marker = "sabotaged from outside:"

// doingNothing is a script that says so and succeeds.
func doingNothing(name string) string {
	return "#!/usr/bin/env bash\necho '" + marker + " " + name + " does nothing'\nexit 0\n"
}
