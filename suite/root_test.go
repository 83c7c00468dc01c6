package suite_test

import (
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"grenade/framework/report"
)

// TestMain becomes root before anything else, unless nothing is to be done.
// Ginkgo's own flags are not parsed yet, so a dry run is recognised by name.
func TestMain(m *testing.M) {
	dryRun := slices.ContainsFunc(os.Args[1:], func(arg string) bool {
		return strings.TrimLeft(arg, "-") == "ginkgo.dry-run" || strings.TrimLeft(arg, "-") == "ginkgo.dry-run=true"
	})
	if os.Geteuid() != 0 && !dryRun {
		err := becomeRoot()
		newExitCode(os.Getenv("GRENADE_EXIT_FILE")).end(report.Environment, err.Error())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// giveToCaller gives a directory and all that is in it to the user who called
// sudo; without sudo it does nothing.
func giveToCaller(dir string) error {
	uid, uidErr := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, gidErr := strconv.Atoi(os.Getenv("SUDO_GID"))
	if uidErr != nil || gidErr != nil {
		return nil //nolint:nilerr // nobody called sudo
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
	if err != nil {
		return fmt.Errorf("give the results to the user who called sudo: %w", err)
	}
	return nil
}

// becomeRoot runs this program again through sudo, with the same arguments,
// environment and starter. It returns only when that is not possible.
func becomeRoot() error {
	sudo, err := osexec.LookPath("sudo")
	if err != nil {
		return fmt.Errorf("the run needs root, and there is no sudo: %w", err)
	}
	if err := osexec.Command(sudo, "-n", "true").Run(); err != nil { //nolint:noctx // asks nothing, ends at once
		return fmt.Errorf("the run needs root, and sudo wants a password: run as root, or allow passwordless sudo: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	args := append([]string{sudo, "-n", "env", "-i"}, os.Environ()...)
	args = append(args, starterVariable+"="+strconv.Itoa(os.Getppid()),
		"SUDO_UID="+strconv.Itoa(os.Getuid()), "SUDO_GID="+strconv.Itoa(os.Getgid()), self)
	if err := syscall.Exec(sudo, append(args, os.Args[1:]...), os.Environ()); err != nil {
		return fmt.Errorf("become root: %w", err)
	}
	return nil
}
