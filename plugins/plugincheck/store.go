package plugincheck

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"grenade/plugins"
)

// access is a call of resource_save or resource_get.
type access struct {
	in   *script
	call *syntax.CallExpr
	// section and key are empty where bash computes them.
	section, key string
}

func (a access) place() string { return fmt.Sprintf("%s:%d", a.in.path, a.call.Pos().Line()) }

// accesses are the calls of one of the two functions in scripts.
func accesses(scripts []*script, function string) (found []access) {
	for _, s := range scripts {
		calls(s.file, func(call *syntax.CallExpr, name string, _ []syntax.Node) {
			if name == function {
				found = append(found, access{in: s, call: call, section: argument(call, 1), key: argument(call, 2)})
			}
		})
	}
	return found
}

// checkStoreNames looks for names that resource_save refuses.
func checkStoreNames(scripts []*script) {
	for _, save := range accesses(scripts, "resource_save") {
		for _, name := range []string{save.section, save.key} {
			if name != "" && (strings.ContainsAny(name, "]=\r\n") || name[0] == '[' || strings.Trim(name, " \t") != name) {
				save.in.report(ruleStoreName, save.call, "%q holds = or ] or a newline, or begins with [, or begins or ends with a blank", name)
			}
		}
	}
}

// checkNeverSaved looks for keys of the plugin's own that are asked for and never
// saved. others are what further plugins save.
func checkNeverSaved(scripts []*script, projects []string, others []access) {
	saves := accesses(scripts, "resource_save")
	known := append(slices.Clone(saves), others...)
	for _, get := range accesses(scripts, "resource_get") {
		own := slices.Contains(projects, get.section) ||
			slices.ContainsFunc(saves, func(save access) bool { return save.section == get.section })
		if get.key == "" || !own || slices.ContainsFunc(known, func(save access) bool {
			return (save.section == "" || save.section == get.section) && (save.key == "" || save.key == get.key)
		}) {
			continue
		}
		get.in.report(ruleNeverSaved, get.call, "[%s] %s is asked for and never saved", get.section, get.key)
	}
}

// checkCollisions looks for keys that the plugin saves and another one, too.
func checkCollisions(scripts []*script, others []access) {
	for _, save := range accesses(scripts, "resource_save") {
		if save.section == "" || save.key == "" {
			continue
		}
		for _, other := range others {
			if other.section == save.section && other.key == save.key {
				save.in.report(ruleStoreCollision, save.call, "[%s] %s is saved by another plugin, too: %s", save.section, save.key, other.place())
				break
			}
		}
	}
}

// inTreeScripts are the resources.sh of the in-tree plugins, without those whose
// directory is named like one of dirs: that one stands in for it.
func inTreeScripts(dirs []string) ([]*script, error) {
	registered, err := plugins.InTree("")
	if err != nil {
		return nil, err
	}
	var scripts []*script
	for _, plugin := range registered {
		name := filepath.Base(plugin.Dir)
		if slices.ContainsFunc(dirs, func(dir string) bool { return filepath.Base(dir) == name }) {
			continue
		}
		path := name + "/resources.sh"
		text, err := plugins.InTreeFile(path)
		if err != nil {
			return nil, err
		}
		file, err := parse(text, path)
		if err != nil {
			return nil, fmt.Errorf("in-tree plugin's %s: %w", path, err)
		}
		scripts = append(scripts, &script{path: path, name: "resources.sh", file: file, functions: functionsOf(file)})
	}
	return scripts, nil
}
