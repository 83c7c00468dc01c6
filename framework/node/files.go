package node

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// PutFile writes a file into the upper layer of an overlay, so that it is at path in the file system that
// the overlay shows. Directories that it needs get mode and owner of those in the lower layer, because what
// the upper layer says of a directory is what counts; new ones get 0755. The file belongs to the caller.
func PutFile(lower, upper, path string, data []byte, mode fs.FileMode) error {
	full, err := makeRoom(lower, upper, path)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("put %s into the node: %w", path, err)
	}
	_, err = file.Write(data)
	// Explicitly, for the umask may have taken from it.
	err = errors.Join(err, file.Chmod(mode), file.Close())
	if err != nil {
		return fmt.Errorf("put %s into the node: %w", path, err)
	}
	return nil
}

// PutLink makes a symbolic link in the upper layer, as PutFile makes a file.
func PutLink(lower, upper, path, target string) error {
	full, err := makeRoom(lower, upper, path)
	if err != nil {
		return err
	}
	if err := os.Symlink(target, full); err != nil {
		return fmt.Errorf("put %s into the node: %w", path, err)
	}
	return nil
}

// makeRoom makes the directories above path and removes what the upper layer has there.
func makeRoom(lower, upper, path string) (string, error) {
	relative := strings.TrimPrefix(filepath.Clean("/"+path), "/")
	if relative == "" {
		return "", fmt.Errorf("put %q into the node: not the path of a file", path)
	}
	if err := makeDirs(lower, upper, filepath.Dir(relative)); err != nil {
		return "", fmt.Errorf("put %s into the node: %w", path, err)
	}
	full := filepath.Join(upper, relative)
	if err := os.Remove(full); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("put %s into the node: %w", path, err)
	}
	return full, nil
}

// makeDirs makes a directory and those above it in the upper layer.
func makeDirs(lower, upper, relative string) error {
	place := ""
	for _, name := range strings.Split(filepath.Join(".", relative), "/") {
		place = filepath.Join(place, name)
		above := filepath.Join(upper, place)
		if info, err := os.Lstat(above); err == nil {
			if !info.IsDir() {
				return fmt.Errorf("%s is not a directory", above)
			}
			continue
		}
		mode, uid, gid := fs.FileMode(0o755), 0, 0
		switch info, err := os.Lstat(filepath.Join(lower, place)); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("what is there below: %w", err)
		case !info.IsDir():
			// A directory put over a link like /lib would hide everything behind it.
			return fmt.Errorf("%s is not a directory", filepath.Join(lower, place))
		default:
			mode = info.Mode().Perm() | info.Mode()&(fs.ModeSetgid|fs.ModeSticky)
			if owner, ok := info.Sys().(*syscall.Stat_t); ok {
				uid, gid = int(owner.Uid), int(owner.Gid)
			}
		}
		if err := os.Mkdir(above, 0o700); err != nil {
			return fmt.Errorf("make room: %w", err)
		}
		// The owner first: chown takes set-id bits away.
		if err := errors.Join(os.Chown(above, uid, gid), os.Chmod(above, mode)); err != nil {
			return err
		}
	}
	return nil
}

// unwanted are units that a node never has use for. The host sets up the network (network.go), and networkd would do
// it again, its way: on newer kernels than its own (Debian 12's systemd 252 on 6.18) it sends the kernel an address that
// is there already until its queue is full, which is 14 s of a processor at each boot. wait-online would hold the boot
// for it; a login on the console is of no use; the timers would touch packages and disks in the middle of a test.
func unwanted() []string {
	return []string{
		"systemd-networkd.service", "systemd-networkd.socket",
		"systemd-networkd-wait-online.service", "console-getty.service",
		"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "man-db.timer",
		"e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer",
	}
}

// putOwnFiles writes what every node needs, whatever runs in it.
func putOwnFiles(c NspawnConfig, upper string) error {
	id := make([]byte, 16)
	// Read never fails (crypto/rand).
	_, _ = rand.Read(id)
	files := []struct {
		path, content string
		mode          fs.FileMode
	}{
		// An id of its own: without one systemd takes this for the first boot ever and enables every unit.
		{"/etc/machine-id", hex.EncodeToString(id) + "\n", 0o444},
		{"/etc/hostname", c.Machine + "\n", 0o644},
		{"/etc/hosts", fmt.Sprintf("127.0.0.1 localhost\n::1 localhost ip6-localhost\n%s %s\n", c.Address.Addr(), c.Machine), 0o644},
		// Nothing outside is to be asked for anything: a name that is not in hosts fails at once.
		{"/etc/resolv.conf", "", 0o644},
		// On disk, so that the log of a dead node can still be read from the upper layer; complete.
		{"/etc/systemd/journald.conf.d/grenade.conf", "[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\nForwardToSyslog=no\n", 0o644},
		// No terminal of its own (use_pty): a process in another session escapes the signals of its group.
		{"/etc/sudoers.d/grenade", fmt.Sprintf(
			"Defaults env_keep += \"%s %s\"\nDefaults !use_pty\nstack ALL=(ALL:ALL) NOPASSWD: ALL\n", RunVariable, ScriptVariable), 0o440},
	}
	for _, file := range files {
		if err := PutFile(c.Root, upper, file.path, []byte(file.content), file.mode); err != nil {
			return err
		}
	}
	for _, unit := range unwanted() {
		if err := PutLink(c.Root, upper, "/etc/systemd/system/"+unit, "/dev/null"); err != nil {
			return err
		}
	}
	return nil
}
