package plugincheck

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// ErrNoPlugin is the kind of error that a path has below which there is no plugin.
var ErrNoPlugin = errors.New("no plugin")

// Locate returns the directories of the plugins that a path stands for: a plugin's
// own directory, a checkout with devstack/upgrade, or a directory of plugins, such
// as upstream's projects. It returns ErrNoPlugin when there is none.
func Locate(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrNoPlugin, err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file; name the plugin's directory or its checkout: %w", path, ErrNoPlugin)
	}
	// devstack/settings of a checkout is DevStack's, so the deepest place counts.
	for _, below := range []string{"devstack/upgrade", "upgrade"} {
		if dir := filepath.Join(path, below); isDir(dir) {
			return []string{dir}, nil
		}
	}
	if looksLikePlugin(path) {
		return []string{path}, nil
	}
	for _, parent := range []string{path, filepath.Join(path, "projects"), filepath.Join(path, "plugins")} {
		dirs, err := pluginsIn(parent)
		if err != nil {
			return nil, err
		}
		if len(dirs) > 0 {
			return dirs, nil
		}
	}
	return nil, fmt.Errorf("%s: %w there: no devstack/upgrade, no settings, no upgrade.sh", path, ErrNoPlugin)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// looksLikePlugin tells whether a directory holds any of a plugin's files.
func looksLikePlugin(dir string) bool {
	return slices.ContainsFunc([]string{"settings", "upgrade.sh", "shutdown.sh", "resources.sh"}, func(name string) bool {
		info, err := os.Stat(filepath.Join(dir, name))
		return err == nil && info.Mode().IsRegular()
	})
}

// pluginsIn returns the plugins right below a directory, sorted; none when it is
// not there.
func pluginsIn(parent string) ([]string, error) {
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("plugins below %s: %w", parent, err)
	}
	var dirs []string
	for _, entry := range entries {
		if dir := filepath.Join(parent, entry.Name()); entry.IsDir() && looksLikePlugin(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}
