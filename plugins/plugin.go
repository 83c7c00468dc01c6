package plugins

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"grenade/framework/config"
)

// Plugin is one project that a settings file registers for upgrade. A settings
// file that registers two makes two of them, in the same directory.
type Plugin struct {
	// Project is the registered name.
	Project string
	// Dir holds settings and the scripts: a plugin runs in place.
	Dir string
	// SettingsFile is the path of the settings file that registers the project,
	// Line where it does.
	SettingsFile string
	Line         int
	// NotFetched: it stands for whatever a plugin registers whose repository has
	// not been fetched, and bears that plugin's name.
	NotFetched bool
}

// Script is the path of one of the plugin's scripts, which need not exist.
func (p Plugin) Script(name string) string { return filepath.Join(p.Dir, name) }

// Place is where the project is registered, as file:line.
func (p Plugin) Place() string { return fmt.Sprintf("%s:%d", p.SettingsFile, p.Line) }

// Scan returns what the in-tree plugins, or in their place those in the directory
// projects if that is not empty, and those in the given directories register, in
// that order, from the text of their settings: so the names are known without a
// node, and before GRENADE_DIR is written (where the in-tree plugins' directories
// will be). A directory without settings is accepted, as
// upstream does; one that is not there, too: it may not be fetched yet.
//
// Registrations whose name only running the file can tell are left out. Every
// name that is in the plan's own vocabulary (reserved), malformed or registered
// twice is an error; the error joins one config.Mistake per case.
func Scan(grenadeDir, projects string, external, reserved []string) ([]Plugin, error) {
	var found []Plugin
	var err error
	if projects == "" {
		found, err = InTree(grenadeDir)
	} else {
		found, err = inProjects(projects)
	}
	var mistakes []error
	switch {
	case config.IsMistake(err):
		mistakes = append(mistakes, err)
	case err != nil:
		return nil, err
	}
	for _, dir := range external {
		registered, err := Registered(dir)
		if err != nil {
			mistakes = append(mistakes, err)
		}
		found = append(found, registered...)
	}
	mistakes = append(mistakes, CheckNames(found, reserved))
	return found, errors.Join(mistakes...)
}

// InTree returns what the in-tree plugins register, in their order, with the
// directories that they have below GRENADE_DIR.
func InTree(grenadeDir string) ([]Plugin, error) {
	names, err := inTreeDirs()
	if err != nil {
		return nil, err
	}
	var found []Plugin
	for _, name := range names {
		text, err := files.ReadFile(name + "/" + settingsName)
		if err != nil {
			return nil, fmt.Errorf("in-tree plugin %s: %w", name, err)
		}
		found = append(found, registered(filepath.Join(grenadeDir, projectsDir, name), string(text))...)
	}
	return found, nil
}

// inProjects returns what the plugins in a directory like upstream's projects/
// register, in the order of their names. One in which nothing registers a project
// is a config.Mistake: a run of it would prove nothing.
func inProjects(projects string) ([]Plugin, error) {
	dirs, err := projectDirs(projects)
	if err != nil {
		return nil, &config.Mistake{Message: fmt.Sprintf("GRENADE_PROJECTS: %v", err)}
	}
	var found []Plugin
	for _, dir := range dirs {
		registered, err := Registered(dir)
		if err != nil {
			return nil, err
		}
		found = append(found, registered...)
	}
	if len(found) == 0 {
		return nil, &config.Mistake{Message: fmt.Sprintf("GRENADE_PROJECTS: no settings below %s register a project", projects)}
	}
	return found, nil
}

// projectDirs are the directories of the plugins in such a directory.
func projectDirs(projects string) ([]string, error) {
	entries, err := os.ReadDir(projects) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	var dirs []string
	for _, entry := range entries {
		dir := filepath.Join(projects, entry.Name())
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// Registered returns what the settings in a directory register, as far as their
// text tells; none when there are none. Settings that cannot be read are a
// config.Mistake.
func Registered(dir string) ([]Plugin, error) {
	text, err := os.ReadFile(filepath.Join(dir, settingsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &config.Mistake{File: filepath.Join(dir, settingsName), Message: err.Error()}
	}
	return registered(dir, string(text)), nil
}

const settingsName = "settings"

func inTreeDirs() ([]string, error) {
	entries, err := files.ReadDir(".") // sorted by name
	if err != nil {
		return nil, fmt.Errorf("in-tree plugins: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if entry.Name() != shellDir {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// registered returns the projects that a settings text registers, each once.
func registered(dir, text string) []Plugin {
	var found []Plugin
	for i, line := range strings.Split(text, "\n") {
		for _, name := range registrations(line) {
			known := slices.ContainsFunc(found, func(p Plugin) bool { return p.Project == name })
			if !known {
				found = append(found, Plugin{
					Project: name, Dir: dir,
					SettingsFile: filepath.Join(dir, settingsName), Line: i + 1,
				})
			}
		}
	}
	return found
}

// CheckNames looks at the names of projects: those that are the plan's own words
// (reserved), malformed ones, and those that two plugins register. The error joins
// one config.Mistake per case.
func CheckNames(found []Plugin, reserved []string) error {
	var mistakes []error
	first := map[string]Plugin{}
	for _, plugin := range found {
		mistake := func(format string, args ...any) {
			mistakes = append(mistakes, &config.Mistake{
				File: plugin.SettingsFile, Line: plugin.Line, Message: fmt.Sprintf(format, args...),
			})
		}
		if slices.Contains(reserved, plugin.Project) {
			mistake("a project cannot be called %q: that is a word of the plan", plugin.Project)
		}
		// Ginkgo's label filters and file names of logs are made of it.
		if strings.ContainsAny(plugin.Project, "&|!,()/:") || strings.HasPrefix(plugin.Project, ".") {
			mistake("a project cannot be called %q: & | ! , ( ) / : and a leading dot would break label filters and log names", plugin.Project)
		}
		other, taken := first[plugin.Project]
		if taken {
			mistake("two plugins register %s: %s and %s", plugin.Project, other.Dir, plugin.Dir)
			continue
		}
		first[plugin.Project] = plugin
	}
	return errors.Join(mistakes...)
}
