package debstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Fingerprint sums up a tree of files by their metadata, so that a change of content is noticed without reading it.
// It is no defence against someone who wants to go unnoticed: it finds breakage, not forgery.
type Fingerprint struct {
	Entries int    `json:"entries"`
	Bytes   int64  `json:"bytes"` // disk space, as du counts it
	Sum     string `json:"sum"`
}

// Same says whether two fingerprints stand for the same content. Disk space is left out: a file system may account
// for the same file differently once it has written it back.
func (f Fingerprint) Same(other Fingerprint) bool {
	return f.Entries == other.Entries && f.Sum == other.Sum
}

// TakeFingerprint walks dir and sums up path, type, size, mode, owner, group and modification time of every entry
// below it. It follows no symbolic link. Sizes of directories do not count: they depend on the directory's history.
func TakeFingerprint(ctx context.Context, dir string) (Fingerprint, error) {
	if _, err := os.Lstat(dir); err != nil {
		return Fingerprint{}, fmt.Errorf("fingerprint: %w", err)
	}
	w := &walker{ctx: ctx, root: dir}
	w.wake = sync.NewCond(&w.mu)
	w.pending = []string{""}
	w.open = 1

	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(w.work)
	}
	workers.Wait()
	if w.err != nil {
		return Fingerprint{}, fmt.Errorf("fingerprint of %s: %w", dir, w.err)
	}
	return Fingerprint{Entries: int(w.entries.Load()), Bytes: w.blocks.Load() * 512, Sum: fmt.Sprintf("%016x", w.sum.Load())}, nil
}

// walker shares one stack of directories among its workers. Entries are summed by addition, so their order is free.
type walker struct {
	ctx  context.Context //nolint:containedctx // lives as long as TakeFingerprint's call, not longer
	root string

	entries, blocks atomic.Int64
	sum             atomic.Uint64

	mu      sync.Mutex
	wake    *sync.Cond
	pending []string // directories to be read, relative to root
	open    int      // pending directories and those being read
	err     error
}

func (w *walker) work() {
	for {
		dir, more := w.next()
		if !more {
			return
		}
		found, err := w.read(dir)
		w.done(found, err)
	}
}

func (w *walker) next() (dir string, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.pending) == 0 && w.open > 0 && w.err == nil {
		w.wake.Wait()
	}
	if w.err != nil || w.open == 0 {
		return "", false
	}
	dir = w.pending[len(w.pending)-1]
	w.pending = w.pending[:len(w.pending)-1]
	return dir, true
}

func (w *walker) done(found []string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		err = w.ctx.Err()
	}
	if w.err == nil {
		w.err = err
	}
	w.pending = append(w.pending, found...)
	w.open += len(found) - 1
	w.wake.Broadcast()
}

// read sums up the entries of one directory and returns the directories among them.
func (w *walker) read(dir string) (found []string, err error) {
	fd, err := unix.Open(w.root+"/"+dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	defer func() { _ = unix.Close(fd) }() // Nothing was written.
	names, err := directoryNames(fd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	prefix := hashString(hashString(fnvOffset, dir), "/")
	var sum uint64
	var blocks int64
	for _, name := range names {
		var st unix.Stat_t
		if err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return nil, fmt.Errorf("%s/%s: %w", dir, name, err)
		}
		size := uint64(st.Size)
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			size = 0
			found = append(found, dir+"/"+name)
		}
		h := hashString(prefix, name)
		h = hashNumber(h, uint64(st.Mode))
		h = hashNumber(h, size)
		h = hashNumber(h, uint64(st.Uid)<<32|uint64(st.Gid))
		h = hashNumber(h, uint64(st.Mtim.Nano()))
		h = hashNumber(h, st.Rdev)
		sum += h
		blocks += st.Blocks
	}
	w.entries.Add(int64(len(names)))
	w.sum.Add(sum)
	w.blocks.Add(blocks)
	return found, nil
}

// directoryNames lists an open directory. It goes past package os, whose file objects cost two more system calls per
// directory: a warm start spends most of its time here.
func directoryNames(fd int) ([]string, error) {
	buf := make([]byte, 16<<10)
	var names []string
	for {
		n, err := unix.ReadDirent(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		if n == 0 {
			return names, nil
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// FNV-1a with 64 bits, written out because hash/fnv takes byte slices behind an interface, which allocates for each
// of some fifty thousand names. Parameters: RFC 9923, section 3.
const (
	fnvOffset uint64 = 0xcbf29ce484222325
	fnvPrime  uint64 = 0x100000001b3
)

func hashString(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return h
}

func hashNumber(h, n uint64) uint64 {
	for range 8 {
		h = (h ^ n&0xff) * fnvPrime
		n >>= 8
	}
	return h
}
