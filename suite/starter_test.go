package suite_test

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/onsi/ginkgo/v2/types"
	"golang.org/x/sys/unix"
)

// starterVariable names the process to watch when it is not the parent: sudo
// stands between the two when the run had to become root.
const starterVariable = "GRENADE_STARTER_PID"

// starter returns the process id of whoever started the run.
func starter() int {
	if pid, err := strconv.Atoi(os.Getenv(starterVariable)); err == nil {
		return pid
	}
	return os.Getppid()
}

// watchStarter returns a channel that closes when the process that started
// the run is gone. A killed Ginkgo CLI forwards nothing: without this the run
// would go on with nobody to see it.
func watchStarter() (<-chan struct{}, error) {
	fd, err := unix.PidfdOpen(starter(), 0)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", starter(), err)
	}
	died := make(chan struct{})
	go func() {
		defer unix.Close(fd) //nolint:errcheck // nothing depends on it
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if err == nil {
				close(died)
				return
			}
			if err != unix.EINTR {
				return
			}
		}
	}()
	return died, nil
}

// tellGinkgo makes Ginkgo hand out no further row.
func tellGinkgo() {
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		fmt.Fprintf(os.Stderr, "Ginkgo could not be told to stop: %v\n", err)
	}
}

// checkCLI refuses a Ginkgo CLI of another version than the library's: its
// flags and its protocol may differ. A starter that is not Ginkgo is fine.
func checkCLI() error {
	info, _ := buildinfo.ReadFile(fmt.Sprintf("/proc/%d/exe", starter()))
	if info == nil || info.Path != "github.com/onsi/ginkgo/v2/ginkgo" {
		return nil
	}
	version := info.Main.Version
	for _, dependency := range info.Deps {
		if dependency.Path == "github.com/onsi/ginkgo/v2" {
			version = dependency.Version
		}
	}
	version = strings.TrimPrefix(version, "v")
	if version == types.VERSION || version == "(devel)" || version == "" {
		return nil
	}
	return &usageError{fmt.Sprintf("the Ginkgo CLI is %s and the suite was built with %s; 'go tool ginkgo' always fits", version, types.VERSION)}
}
