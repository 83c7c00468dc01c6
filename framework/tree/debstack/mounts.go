package debstack

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// removeTree removes dir and everything in it, but never reaches through a mount: what is mounted at or below dir in
// our mount namespace is unmounted first, and if any of it stays, nothing is removed. (A mount below dir in another
// namespace is no danger: the kernel detaches it there when the directory under it goes.) A dir that is not there is
// fine.
func removeTree(dir string) error {
	resolved, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	mounts, err := mountsBelow(resolved)
	if err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	var failed []error
	for _, mount := range mounts {
		if err := unix.Unmount(mount, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			failed = append(failed, fmt.Errorf("unmount %s: %w", mount, err))
		}
	}
	left, err := mountsBelow(resolved)
	if err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	if len(left) > 0 {
		return fmt.Errorf("remove %s: not touched, still mounted below it: %s: %w", dir, strings.Join(left, ", "), errors.Join(failed...))
	}
	if err := os.RemoveAll(resolved); err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return nil
}

// mountsBelow lists the mount points at or below dir, which holds no symbolic links, the last mounted first.
func mountsBelow(dir string) ([]string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("mount table: %w", err)
	}
	found := mountPoints(table, dir)
	slices.Reverse(found)
	return found, nil
}

// mountPoints picks the mount points at or below dir from a mountinfo table (proc(5)), in its order.
func mountPoints(table []byte, dir string) []string {
	var found []string
	lines := bufio.NewScanner(bytes.NewReader(table))
	lines.Buffer(nil, 1<<20) // an overlay's line names all its layers
	for lines.Scan() {
		part := strings.Fields(lines.Text())
		if len(part) < 5 {
			continue
		}
		point := unescapeMount(part[4])
		if point == dir || strings.HasPrefix(point, strings.TrimSuffix(dir, "/")+"/") {
			found = append(found, point)
		}
	}
	return found
}

// unescapeMount undoes the kernel's escapes of blanks and backslashes.
func unescapeMount(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}

// overlaid says whether some process sees an overlay with a layer at or below dir: a node that outlived the run that
// held the root. Mount tables that cannot be read belong to processes that are just ending.
func overlaid(dir string) bool {
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	tables, _ := filepath.Glob("/proc/[0-9]*/mountinfo") // the pattern is well formed
	seen := map[string]bool{}
	for _, table := range tables {
		namespace, err := os.Readlink(filepath.Join(filepath.Dir(table), "ns/mnt"))
		if err != nil || seen[namespace] {
			continue
		}
		seen[namespace] = true
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			_, options, _ := strings.Cut(line, " - overlay ")
			for _, layer := range strings.FieldsFunc(options, func(r rune) bool { return r == ',' || r == '=' || r == ':' || r == ' ' }) {
				layer = unescapeMount(strings.TrimSpace(layer))
				if layer == resolved || strings.HasPrefix(layer, resolved+"/") {
					return true
				}
			}
		}
	}
	return false
}
