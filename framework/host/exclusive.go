package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrBusy means that another process holds the directory.
var ErrBusy = errors.New("in use by another run")

// Exclusive takes a directory for this process alone, with flock(2) on the
// directory itself: nothing is left behind, and a killed process lets go. The
// directory is made if it is missing, for this user alone: what is below may
// belong to a user of the node whose number is somebody else's here. When somebody else holds it, Exclusive
// calls onWait once and tries until patience is over.
func Exclusive(ctx context.Context, dir string, patience time.Duration, onWait func()) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("take %s: %w", dir, err)
	}
	handle, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("take %s: %w", dir, err)
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(lockInterval)
	defer again.Stop()
	for waited := false; ; waited = true {
		err := unix.Flock(int(handle.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return handle.Close, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("take %s: %w", dir, err), handle.Close())
		}
		if !waited && patience > 0 {
			onWait()
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), handle.Close())
		case <-deadline.C:
			return nil, errors.Join(fmt.Errorf("%s is %w", dir, ErrBusy), handle.Close())
		case <-again.C:
		}
	}
}

// lockInterval is how often a lock that somebody else holds is tried: flock
// cannot wait and be cancelled.
const lockInterval = 100 * time.Millisecond
