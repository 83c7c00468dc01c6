package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"grenade/framework/exec"
	"grenade/framework/node"
)

// userConf is what the user of either side adds to both trees' local.conf: so it has
// a part below which plugins' lines must not go.
const userConf = "[[local|localrc]]\nUSER_OF_THE_COMPARISON=True\n[[post-config|$NOVA_CONF]]\n[DEFAULT]\ncompared = True\n"

// localrc is the user's, for either side.
func (s *site) localrc() string {
	var text strings.Builder
	for _, setting := range [][2]string{
		{"STACK_ROOT", s.root}, {"GIT_BASE", "https://git.example"},
		{"BASE_DEVSTACK_BRANCH", s.options.base}, {"TARGET_DEVSTACK_BRANCH", s.options.target},
		// There is no cloud to run Tempest on.
		{"BASE_RUN_SMOKE", "False"}, {"TARGET_RUN_SMOKE", "False"},
	} {
		fmt.Fprintf(&text, "%s=%s\n", setting[0], setting[1])
	}
	return text.String()
}

// pluginrc enables the site's plugins, for either side.
func (s *site) pluginrc() string {
	var text strings.Builder
	for _, plugin := range s.plugins {
		fmt.Fprintf(&text, "enable_grenade_plugin %s https://git.example/%s\n", plugin.name, plugin.name)
	}
	return text.String()
}

// environ is what the caller of either side has in his environment.
func (s *site) environ() []string {
	return []string{
		"PATH=" + s.path(), "HOME=" + s.root, "USER=stack", "LOGNAME=stack",
		"SHELL=/bin/bash", "LANG=C.UTF-8", "TERM=dumb",
	}
}

// runUpstream runs grenade.sh itself, from its first line to its last.
func (s *site) runUpstream(ctx context.Context) (*seen, error) {
	observe, err := s.text("observe.sh")
	if err != nil {
		return nil, err
	}
	// Where ours has its own, so that paths below it are the same.
	if err := errors.Join(os.MkdirAll(filepath.Dir(s.grenadeDir()), 0o755), os.Rename(s.upstream, s.grenadeDir())); err != nil {
		return nil, fmt.Errorf("GRENADE_DIR: %w", err)
	}
	for name, text := range map[string]string{"localrc": s.localrc(), "pluginrc": s.pluginrc() + observe, "devstack.local.conf": userConf} {
		if err := overwrite(filepath.Join(s.grenadeDir(), name), text, 0o644); err != nil {
			return nil, err
		}
	}
	if err := s.give(filepath.Dir(s.grenadeDir())); err != nil {
		return nil, err
	}
	found := &seen{pluginDir: map[string]string{}, values: map[string]string{}}
	ran, err := newNode(s).Run(ctx, node.Command{Command: exec.Command{
		// A path of its own, as a user calls it: it looks for tools/ where it is.
		Args: []string{"./grenade.sh"}, Dir: s.grenadeDir(), Env: s.environ(),
		Log: filepath.Join(s.dir, "results/upstream.log"), Timeout: s.options.limit,
	}})
	if err != nil {
		found.failure = fmt.Sprintf("grenade.sh: %v", err)
		if tail := strings.Join(lastLines(filepath.Join(s.root, "logs/grenade.sh.log"), ran.Tail), "\n"); tail != "" {
			found.failure += "\n" + tail
		}
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	return found, s.readUpstream(found)
}

func (s *site) readUpstream(found *seen) error {
	observed, err := fields(filepath.Join(s.dir, "records/observed"))
	if err != nil {
		return err
	}
	for ; len(observed) >= 3; observed = observed[3:] {
		switch kind, name, value := observed[0], observed[1], observed[2]; {
		case kind == "plugin":
			found.pluginDir[name] = value
		case name == "UPGRADE_PROJECTS":
			found.projects = strings.Fields(value)
		case name == "DATABASES_TO_SAVE":
			found.databases = strings.Fields(value)
		default:
			found.values[name] = value
		}
	}
	if found.localConf, err = readLocalConf(s); err != nil {
		return err
	}
	if found.surface, err = readSurface(filepath.Join(s.dir, "records")); err != nil {
		return err
	}
	found.calls, err = readCalls(filepath.Join(s.dir, "records"))
	for _, each := range found.calls {
		// The mark of the runner that started grenade.sh.
		delete(each.environ, node.ScriptVariable)
	}
	return err
}

// lastLines are the last lines of a log, or in its absence those of another.
func lastLines(path string, other []string) []string {
	const count = 12
	content, err := os.ReadFile(path)
	lines := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	if err != nil || len(content) == 0 {
		lines = other
	}
	return lines[max(0, len(lines)-count):]
}
