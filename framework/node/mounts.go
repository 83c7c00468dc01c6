package node

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is one line of /proc/self/mountinfo (proc(5)).
type mount struct {
	root, point, kind, options string
}

// parseMount reads such a line; the superblock's options, type and device stand behind a lone "-".
func parseMount(line string) (mount, bool) {
	fields := strings.Fields(line)
	dash := slices.Index(fields, "-")
	if len(fields) < 6 || dash < 0 || len(fields) < dash+4 {
		return mount{}, false
	}
	return mount{root: unescape(fields[3]), point: unescape(fields[4]), kind: fields[dash+1], options: fields[dash+3]}, true
}

// unescape undoes the kernel's octal notation for blanks and the like.
func unescape(text string) string {
	var s strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if code, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				s.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		s.WriteByte(text[i])
	}
	return s.String()
}

// mountsUnder lists the mount points of this host at or below dir, in the order they were made.
func mountsUnder(dir string) ([]string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list the mounts: %w", err)
	}
	var points []string
	for line := range strings.Lines(string(table)) {
		m, ok := parseMount(line)
		if ok && (m.point == dir || strings.HasPrefix(m.point, dir+"/")) {
			points = append(points, m.point)
		}
	}
	return points, nil
}

// unmountUnder takes away every mount at or below dir. A node makes none on the host; but before its
// directory is removed nothing of somebody else's may be mounted in it, or that would be removed, too.
func unmountUnder(dir string) error {
	points, err := mountsUnder(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, point := range slices.Backward(points) {
		if err := unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			errs = append(errs, fmt.Errorf("unmount %s: %w", point, err))
		}
	}
	return errors.Join(errs...)
}
