package debstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
)

// A layer is a base cloud, without its guests, as a directory: everything that
// its node had written when its services had stopped. A run that is given one
// starts the services instead of making a new cloud, which takes half the time.
// It holds the cloud's passwords, so it is its owner's alone (mode 0700).
type layer struct {
	// Services are the libs that the cloud holds.
	Services []string `json:"services"`
	// Root is the key of the root that the layer lies on.
	Root string `json:"root"`
	// Address and Floating are baked into endpoints and networks.
	Address  string `json:"address"`
	Floating string `json:"floating"`
	// StackRoot is the path of trees and data in the node.
	StackRoot string    `json:"stackRoot"`
	Saved     time.Time `json:"saved"`
}

const (
	layerFile = "layer.json"
	layerDir  = "upper"
	copyLimit = 5 * time.Minute
)

// SaveLayer stops the services of the cloud of these settings and copies what
// its node has written to dir, which it makes. Afterwards the cloud is of no
// more use: the caller removes it.
func SaveLayer(ctx context.Context, settings *config.Config, dir string) (err error) {
	saved, err := readSavedCloud(settings.SaveDir)
	if err != nil {
		return err
	}
	running, err := node.Attach(NodeDir(settings))
	if err != nil {
		return environment(err)
	}
	if _, err := os.Lstat(dir); err == nil {
		return setting(fmt.Errorf("layer %s: it is there already", dir))
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return fmt.Errorf("layer: %w", err)
	}
	_, err = running.Run(ctx, node.Command{User: stackUser, Command: exec.Command{
		Args: []string{"./unstack.sh", "--all"}, Dir: filepath.Join(settings.StackRoot, releaseDir(config.Base), "devstack"),
		Env: environ(settings), Timeout: settings.ScriptTimeout,
	}})
	if err != nil {
		return fmt.Errorf("stop the cloud: %w", err)
	}
	// A killed call leaves a directory of another name.
	scratch := dir + ".new"
	if err := os.RemoveAll(scratch); err != nil {
		return fmt.Errorf("layer: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(scratch))
		}
	}()
	if err := os.Mkdir(scratch, 0o700); err != nil {
		return fmt.Errorf("layer: %w", err)
	}
	if err := copyLayer(ctx, running.Upper(), filepath.Join(scratch, layerDir)); err != nil {
		return err
	}
	if err := saved.passwords.Save(scratch); err != nil {
		return err
	}
	content, err := json.MarshalIndent(layer{
		Services: saved.Services, Root: filepath.Base(filepath.Dir(saved.BaseRoot)), Address: settings.NodeAddress.String(),
		Floating: settings.FloatingRange.String(), StackRoot: settings.StackRoot, Saved: time.Now(),
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("layer: %w", err)
	}
	if err := os.WriteFile(filepath.Join(scratch, layerFile), content, 0o600); err != nil {
		return fmt.Errorf("layer: %w", err)
	}
	if err := os.Rename(scratch, dir); err != nil {
		return fmt.Errorf("layer: %w", err)
	}
	return nil
}

// copyLayer copies an overlay's upper directory with all that makes it one:
// owners, modes, times, holes, devices and extended attributes.
func copyLayer(ctx context.Context, from, to string) error {
	_, err := exec.Run(ctx, exec.Command{
		Args: []string{"cp", "--archive", "--reflink=auto", "--sparse=always", "--no-target-directory", "--", from, to}, Timeout: copyLimit,
	})
	if err != nil {
		return fmt.Errorf("copy a layer: %w", err)
	}
	return nil
}

// openLayer reads the layer that the settings name, and refuses one that does
// not fit: every mistake at once.
func openLayer(settings *config.Config, services []string, root *Root) (layer, Passwords, error) {
	dir := settings.BaseLayer
	content, err := os.ReadFile(filepath.Join(dir, layerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return layer{}, nil, setting(fmt.Errorf("BASE_LAYER %s: there is no layer: it has no %s", dir, layerFile))
	}
	if err != nil {
		return layer{}, nil, fmt.Errorf("BASE_LAYER: %w", err)
	}
	var l layer
	if err := json.Unmarshal(content, &l); err != nil {
		return layer{}, nil, fmt.Errorf("BASE_LAYER %s: %s: %w", dir, layerFile, err)
	}
	var wrong []string
	differs := func(what, has, wants string) {
		if has != wants {
			wrong = append(wrong, fmt.Sprintf("its %s is %s, and %s is wanted", what, has, wants))
		}
	}
	have, want := slices.Sorted(slices.Values(l.Services)), slices.Sorted(slices.Values(services))
	differs("list of services", strings.Join(have, " "), strings.Join(want, " "))
	differs("root", l.Root, root.Key)
	differs("NODE_ADDRESS", l.Address, settings.NodeAddress.String())
	differs("FLOATING_RANGE", l.Floating, settings.FloatingRange.String())
	differs("STACK_ROOT", l.StackRoot, settings.StackRoot)
	if len(wrong) > 0 {
		return layer{}, nil, setting(fmt.Errorf("BASE_LAYER %s: %s", dir, strings.Join(wrong, "; ")))
	}
	passwords, err := LoadPasswords(dir)
	return l, passwords, err
}
