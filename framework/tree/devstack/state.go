package devstack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"grenade/framework/config"
	"grenade/framework/tree"
)

// state is what a later process needs to know of the cloud: to go on with it, or to remove it. It holds passwords.
type state struct {
	Run      string `json:"run"`
	Node     string `json:"node"`
	User     string `json:"user"`
	External bool   `json:"external,omitempty"`
	// Made are the directories that this run has made on this machine, and that go with the cloud.
	Made []string `json:"made,omitempty"`
	// Stacked: stack.sh of the base tree has begun. Prepared: the target's tree is ready for upgrades.
	Stacked  bool `json:"stacked,omitempty"`
	Prepared bool `json:"prepared,omitempty"`

	// Enabled is ENABLED_SERVICES of either tree.
	Enabled map[config.Side][]string `json:"enabled,omitempty"`
	// Units are those that ran a side's services, Blind says why nobody can know.
	Units map[config.Side][]unit `json:"units,omitempty"`
	Blind string                 `json:"blind,omitempty"`
	// Code is the commit of each checkout in a side's DEST.
	Code map[config.Side]map[string]string `json:"code,omitempty"`
	// Endpoints is where services answer, by their names; Uncatalogued says why that is not known.
	Endpoints    map[string]string `json:"endpoints,omitempty"`
	Uncatalogued string            `json:"uncatalogued,omitempty"`

	// Unsaved says why databases cannot be saved.
	Unsaved   string            `json:"unsaved,omitempty"`
	Access    tree.Access       `json:"access"`
	Passwords map[string]string `json:"passwords,omitempty"`
}

// stateFile is in SAVE_DIR. A run on this machine that was killed is recognised, and removed, by it.
const stateFile = "devstack.json"

// secrets are what of it must not be published.
func (s state) secrets() []string {
	secrets := []string{s.Access.Password}
	for _, password := range s.Passwords {
		secrets = append(secrets, password)
	}
	return secrets
}

// save writes the state, whole or not at all.
func (c *Cloud) save() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	content, err := json.Marshal(c.saved)
	if err != nil {
		return fmt.Errorf("state of the cloud: %w", err)
	}
	path := filepath.Join(c.options.Config.SaveDir, stateFile)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return fmt.Errorf("state of the cloud: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("state of the cloud: %w", err)
	}
	return nil
}

func readState(saveDir string) (state, error) {
	content, err := os.ReadFile(filepath.Join(saveDir, stateFile))
	if err != nil {
		return state{}, fmt.Errorf("state of the cloud: %w", err)
	}
	var saved state
	if err := json.Unmarshal(content, &saved); err != nil {
		return state{}, fmt.Errorf("state of the cloud: %s: %w", stateFile, err)
	}
	return saved, nil
}

// Left tells whether a run that used DevStack on this machine has left something there.
func Left(settings *config.Config) (bool, error) {
	saved, err := readState(settings.SaveDir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && saved.Node == string(config.Local) && !saved.External, err
}
