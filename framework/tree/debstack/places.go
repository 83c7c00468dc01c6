package debstack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"grenade/framework/config"
)

// region is the only one that the tree makes.
const region = "RegionOne"

// DefaultStackRoot is where a run lives unless the user says otherwise.
const DefaultStackRoot = "/opt/stack"

// LinkName is the name of the node, and of the network interface that a cloud with these settings makes on this
// machine. Two clouds at a time have two STACK_ROOTs, and so two names; at most 15 characters (IFNAMSIZ).
func LinkName(settings *config.Config) string {
	if settings.StackRoot == DefaultStackRoot {
		return "grenade"
	}
	sum := sha256.Sum256([]byte(settings.StackRoot))
	return "grenade-" + hex.EncodeToString(sum[:3])
}

// NodeDir is where a cloud with these settings has its node on this machine.
func NodeDir(settings *config.Config) string { return filepath.Join(settings.StackRoot, "node") }

// TreeDir is the side's tree as seen in the node. Upstream calls the sides'
// directories old and new.
func (c *Cloud) TreeDir(side config.Side) string {
	return filepath.Join(c.options.Config.StackRoot, releaseDir(side), "devstack")
}

// Root is the side's root file system as seen in the node.
func (c *Cloud) Root(side config.Side) string {
	if side == config.Base {
		return "/"
	}
	return filepath.Join(c.options.Config.StackRoot, releaseDir(side), "root")
}

func releaseDir(side config.Side) string {
	if side == config.Base {
		return "old"
	}
	return "new"
}

// targetLayer is where what is written to the target's root goes, on this
// machine and, bound at the same place, in the node.
func (c *Cloud) targetLayer() (upper, work string) {
	dir := filepath.Join(NodeDir(c.options.Config), "target")
	return filepath.Join(dir, "upper"), filepath.Join(dir, "work")
}

// rootsInNode is where the cache's roots are bound in the node. The cache
// itself may lie below a directory that the user stack cannot enter.
func (c *Cloud) rootsInNode() string { return filepath.Join(c.options.Config.StackRoot, "roots") }

// targetLower is the target's cached root as seen in the node.
func (c *Cloud) targetLower() string {
	entry := filepath.Base(filepath.Dir(c.saved.TargetRoot))
	return filepath.Join(c.rootsInNode(), entry, rootDir)
}

// environ is the environment of the trees' own scripts.
func (c *Cloud) environ() []string { return environ(c.options.Config) }

func environ(settings *config.Config) []string {
	return []string{
		"HOME=" + settings.StackRoot, "USER=" + stackUser, "LOGNAME=" + stackUser, "SHELL=/bin/bash",
		"LANG=C.UTF-8", "TERM=dumb", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
}

// savedCloud is what a later process needs to know of the cloud.
type savedCloud struct {
	Services       []string          `json:"services"`
	BaseRoot       string            `json:"baseRoot"`
	TargetRoot     string            `json:"targetRoot,omitempty"`
	BasePackages   map[string]string `json:"basePackages"`
	TargetPackages map[string]string `json:"targetPackages,omitempty"`

	passwords Passwords
}

const savedCloudFile = "cloud.json"

func (s savedCloud) write(saveDir string) error {
	content, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("state of the cloud: %w", err)
	}
	path := filepath.Join(saveDir, savedCloudFile)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return fmt.Errorf("state of the cloud: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("state of the cloud: %w", err)
	}
	return nil
}

func readSavedCloud(saveDir string) (savedCloud, error) {
	content, err := os.ReadFile(filepath.Join(saveDir, savedCloudFile))
	if err != nil {
		return savedCloud{}, fmt.Errorf("state of the cloud: %w", err)
	}
	var saved savedCloud
	if err := json.Unmarshal(content, &saved); err != nil {
		return savedCloud{}, fmt.Errorf("state of the cloud: %w", err)
	}
	saved.passwords, err = LoadPasswords(saveDir)
	return saved, err
}
