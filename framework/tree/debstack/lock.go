package debstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lock is an open file with a flock(2) on it. The kernel drops it when its holder dies, however that happens, and
// two openings exclude each other even within one process. flock from golang.org/x/sys is all that is needed here;
// a library would add a dependency around this one call.
type lock struct{ file *os.File }

// errLocked says that someone else holds the lock.
var errLocked = errors.New("locked by someone else")

// tryLock opens (and makes, if create is set) the file and locks it, exclusively or shared, without waiting.
// It returns errLocked if that cannot be had now.
func tryLock(path string, exclusive, create bool) (*lock, error) {
	for {
		file, err := openLocked(path, exclusive, create)
		if err != nil {
			return nil, err
		}
		// Between opening and locking, the file may have been removed or moved away by who held it.
		opened, err := file.Stat()
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		named, err := os.Stat(path)
		if err == nil && os.SameFile(opened, named) {
			return &lock{file: file}, nil
		}
		if err := file.Close(); err != nil {
			return nil, fmt.Errorf("lock: %w", err)
		}
	}
}

func openLocked(path string, exclusive, create bool) (*os.File, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	err = unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errLocked
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// lockPoll is how often a wait for a lock looks again. flock(2) could wait by itself, but not be told to stop.
const lockPoll = 100 * time.Millisecond

// waitLock takes the lock exclusively, waiting until ctx ends. onWait is called every few seconds with the pid that
// the holder left in the file ("unknown" in the instant before it did).
func waitLock(ctx context.Context, path string, onWait func(holder string)) (*lock, error) {
	var told time.Time
	for {
		held, err := tryLock(path, true, true)
		if err == nil {
			return held, held.sign()
		}
		if !errors.Is(err, errLocked) {
			return nil, err
		}
		if time.Since(told) >= progressInterval {
			onWait(holderOf(path))
			told = time.Now()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s, held by process %s: %w", path, holderOf(path), context.Cause(ctx))
		case <-time.After(lockPoll):
		}
	}
}

// sign leaves our pid in the lock file, for those who wait.
func (l *lock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("sign the lock: %w", err)
	}
	if _, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return fmt.Errorf("sign the lock: %w", err)
	}
	return nil
}

func holderOf(path string) string {
	text, err := os.ReadFile(path)
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return pid
	}
	return "unknown"
}

// release gives the lock up; a nil lock and one that was released before are fine.
func (l *lock) release() error {
	if l == nil || l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	if err := file.Close(); err != nil {
		return fmt.Errorf("release the lock: %w", err)
	}
	return nil
}
