package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ownCgroups gives the directories of this process's control groups in the hierarchies that systemd-nspawn
// makes groups in: the unified one, and on a hybrid host the one named systemd as well (cgroups(7),
// systemd's "Control Group APIs and Delegation").
func ownCgroups() ([]string, error) {
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("own control group: %w", err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("own control group: %w", err)
	}
	places := cgroupDirs(string(self), string(mounts))
	if len(places) == 0 {
		return nil, errors.New("own control group: neither a cgroup2 file system nor the hierarchy named systemd is mounted")
	}
	return places, nil
}

// cgroupDirs reads /proc/self/cgroup and /proc/self/mountinfo (proc(5)).
func cgroupDirs(self, mountinfo string) []string {
	paths := map[string]string{}
	for line := range strings.Lines(self) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) == 3 {
			paths[parts[1]] = parts[2]
		}
	}
	var dirs []string
	for line := range strings.Lines(mountinfo) {
		mount, ok := parseMount(line)
		if !ok {
			continue
		}
		var path string
		switch {
		case mount.kind == "cgroup2":
			path, ok = paths[""]
		case mount.kind == "cgroup" && slices.Contains(strings.Split(mount.options, ","), "name=systemd"):
			path, ok = paths["name=systemd"]
		default:
			continue
		}
		if !ok {
			continue
		}
		// What is mounted may be a part of the hierarchy only, as in a container.
		if mount.root != "/" {
			path = strings.TrimPrefix(path, mount.root)
		}
		if dir := filepath.Join(mount.point, path); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// makeCgroups makes a group of that name in each place. The container must have one for itself: in a group
// that it shared, with a second container or with us, its systemd would manage strangers, and nobody could
// tell afterwards which groups are to be removed.
func makeCgroups(places []string, name string) ([]string, error) {
	var made []string
	for _, place := range places {
		dir := filepath.Join(place, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return made, fmt.Errorf("control group of the node: %w", err)
		}
		made = append(made, dir)
	}
	return made, nil
}

// removeCgroups removes the groups and those below them. Their processes are dead by now; the kernel may
// need a moment to notice. What is not dead is killed.
func removeCgroups(ctx context.Context, dirs []string) error {
	var errs []error
	for _, dir := range dirs {
		errs = append(errs, removeCgroup(ctx, dir))
	}
	return errors.Join(errs...)
}

func removeCgroup(ctx context.Context, dir string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for attempt := 0; ; attempt++ {
		err := removeTree(dir)
		if err == nil {
			return nil
		}
		if attempt == 10 {
			// Present from Linux 5.14 on, in the unified hierarchy (cgroups(7)): kills the whole tree at once.
			if file, openErr := os.OpenFile(filepath.Join(dir, "cgroup.kill"), os.O_WRONLY, 0); openErr == nil {
				_, writeErr := file.WriteString("1")
				err = errors.Join(err, writeErr, file.Close())
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("remove the control group %s: %w (%w)", dir, err, context.Cause(ctx))
		}
		if attempt > 200 {
			return fmt.Errorf("remove the control group %s: %w", dir, err)
		}
	}
}

// removeTree removes directories only, the deepest first: the files of a control group are the kernel's.
func removeTree(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("list the groups: %w", err)
	}
	for _, one := range slices.Backward(dirs) {
		if err := os.Remove(one); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("group still in use: %w", err)
		}
	}
	return nil
}
