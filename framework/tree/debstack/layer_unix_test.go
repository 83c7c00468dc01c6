package debstack

import "golang.org/x/sys/unix"

// mknodWhiteout makes what an overlay's upper directory has for a removed file:
// a character device 0/0 (Documentation/filesystems/overlayfs.rst).
func mknodWhiteout(path string) error { return unix.Mknod(path, unix.S_IFCHR, 0) }

const opaque = "trusted.overlay.opaque"

func setOpaque(dir string) error { return unix.Setxattr(dir, opaque, []byte("y"), 0) }

func isOpaque(dir string) (bool, error) {
	value := make([]byte, 8)
	n, err := unix.Getxattr(dir, opaque, value)
	return err == nil && string(value[:n]) == "y", err
}
