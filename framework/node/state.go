package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"grenade/framework/exec"
)

// stateFile is the name of the file, in the node's directory, that says what there is to dispose of.
const stateFile = "node.json"

// state is what another process needs to enter a node, or to dispose of it.
type state struct {
	Run     string       `json:"run"`
	Machine string       `json:"machine"`
	Root    string       `json:"root"`
	Address netip.Prefix `json:"address"`
	Link    string       `json:"link"`
	// Routes are the networks that the host reaches through the node.
	Routes  []netip.Prefix `json:"routes,omitempty"`
	Cgroups []string       `json:"cgroups"`
	Started time.Time      `json:"started"`
	// Boot is the host's boot id: process numbers of another boot mean nothing.
	Boot string `json:"boot"`
	// Supervisor is systemd-nspawn, Leader the node's systemd: its death ends everything inside.
	Supervisor *exec.Process `json:"supervisor,omitempty"`
	Leader     *exec.Process `json:"leader,omitempty"`
}

// write replaces the file in one step, and has it on disk when it returns: whoever kills us finds either the
// old or the new one, never half of it.
func (s state) write(dir string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write down the node: %w", err)
	}
	path := filepath.Join(dir, stateFile)
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write down the node: %w", err)
	}
	_, err = file.Write(append(data, '\n'))
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write down the node: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open to sync: %w", err)
	}
	return errors.Join(file.Sync(), file.Close())
}

// readState fails with fs.ErrNotExist when no node was started there.
func readState(dir string) (state, error) {
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil {
		return state{}, fmt.Errorf("what node is there: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return state{}, fmt.Errorf("what node is there: %s: %w", filepath.Join(dir, stateFile), err)
	}
	return s, nil
}

// processes lists those that were written down, as far as they are of this boot.
func (s state) processes() []exec.Process {
	if s.Boot != bootID() {
		return nil
	}
	var all []exec.Process
	for _, p := range []*exec.Process{s.Leader, s.Supervisor} {
		if p != nil {
			all = append(all, *p)
		}
	}
	return all
}

// alive says whether the node's systemd runs.
func (s state) alive() bool { return s.Boot == bootID() && s.Leader != nil && s.Leader.Running() }

// bootID names the present boot of the kernel (proc_sys_kernel(5)); "" when it cannot be read.
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}
