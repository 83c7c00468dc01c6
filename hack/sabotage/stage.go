package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"grenade/hack/internal/harness"
)

// stage is a cloud for sabotages: no more projects than they need.
type stage struct {
	name string
	// filter is the label filter that selects its projects.
	filter string
	// plugin is the plugin of another repository that it needs, "" for none. Its runs
	// build their clouds themselves: it is theirs what the plugin makes.
	plugin string
}

// The stages, from the smallest to the largest.
func identity() stage { return stage{name: "identity", filter: "keystone || placement || glance"} }
func object() stage   { return stage{name: "object", filter: swift} }
func network() stage  { return stage{name: "network", filter: neutron} }
func compute() stage  { return stage{name: "compute", filter: nova} }
func volume() stage   { return stage{name: "volume", filter: cinder} }

// The stages of plugins, for those who have checkouts of them.
func dns() stage        { return stage{name: "dns", filter: designate, plugin: designate} }
func keyManager() stage { return stage{name: "key-manager", filter: barbican, plugin: barbican} }

func pluginStages() []stage { return []stage{dns(), keyManager()} }

func stages() []stage { return []stage{identity(), object(), network(), compute(), volume()} }

// layer is the directory with the stage's base cloud.
func (s stage) layer(layers string) string { return filepath.Join(layers, s.name) }

// layersDir is where base clouds are kept until the set is complete: they hold
// passwords, so it is no place that is published.
func layersDir(getenv func(string) string) (string, error) {
	if dir := getenv("GRENADE_CACHE_DIR"); dir != "" {
		return filepath.Join(dir, "layers"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("a place for base clouds: %w", err)
	}
	return filepath.Join(cmp.Or(getenv("XDG_CACHE_HOME"), filepath.Join(home, ".cache")), "grenade", "layers"), nil
}

// makeLayer builds the stage's base cloud, stops it and saves it. One that is there
// is of this set: the set removes them when it begins and when it is complete.
func (s *saboteur) makeLayer(ctx context.Context, on stage) (detail string, err error) {
	layer := on.layer(s.layers)
	if _, err := os.Stat(layer); err == nil {
		return "there already", nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("layer: %w", err)
	}
	run, err := s.site.Start(ctx, "layer-"+on.name,
		append(settings(), "VERIFY_RESOURCES=False", "KEEP=always"), "--label-filter=("+on.filter+") && base")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, run.End(ctx), s.site.Clean(ctx), s.nothingLeft()) }()
	code, err := run.Wait(ctx)
	if err != nil {
		return "", err
	}
	if code != 0 {
		return "", fmt.Errorf("the base cloud was not made: exit %d; output: %s", code, run.Log())
	}
	return "saved", s.site.SaveLayer(ctx, layer)
}

// dropLayers removes them all.
func dropLayers(layers string) error {
	if err := os.RemoveAll(layers); err != nil {
		return fmt.Errorf("remove the saved base clouds: %w", err)
	}
	return nil
}

// onStage is what a run on the stage is started with.
func (s *saboteur) onStage(on stage) (env, args []string) {
	filter := []string{"--label-filter=" + on.filter}
	if on.plugin != "" {
		return append(settings(), fmt.Sprintf("GRENADE_PLUGINRC=enable_grenade_plugin %s '%s'", on.plugin, s.plugins[on.plugin])), filter
	}
	return append(settings(), "BASE_LAYER="+on.layer(s.layers)), filter
}

// plan is every row of the stage's run, as its undisturbed run had it.
func (s *saboteur) plan(on stage) ([]harness.Row, error) {
	rows := s.plans[on.name]
	if len(rows) == 0 {
		return nil, fmt.Errorf("the rows of a run on stage %s are not known: its undisturbed run did not pass", on.name)
	}
	return rows, nil
}
