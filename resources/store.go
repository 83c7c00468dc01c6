package resources

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Names of the store's files in $SAVE_DIR.
const (
	storeFile  = "grenade_db.ini"
	ownersFile = ".grenade_db.owners"
	lockFile   = ".grenade_db.lock"
)

// Store is the memory that checks keep between phases: $SAVE_DIR/grenade_db.ini,
// which resource_save and resource_get of the shell side read and write, too.
// Writers exclude each other with flock; a reader needs no lock, because a
// writer renames a complete, synced file into place. What was saved before a
// crash is therefore there after it.
type Store struct {
	// Dir is $SAVE_DIR. It must exist. Files made in it get its owner, so that
	// the user who runs the scripts can read what root saved.
	Dir string
	// Owner names who saves, usually a project. It is kept beside each key.
	Owner string
	// OnOverwrite, when set, is told of each key that another owner had saved
	// with another value.
	OnOverwrite func(Overwrite)
}

// Overwrite tells that one owner changed what another had saved.
type Overwrite struct {
	Section, Key string
	Before, Now  string // owners
}

// Get returns the value byte for byte. A missing key, section or file is no
// error: ok is false, as resource_get prints nothing and returns 0.
func (s *Store) Get(section, key string) (value string, ok bool, err error) {
	file, err := s.load(storeFile)
	if err != nil {
		return "", false, err
	}
	value, ok = file.get(section, key)
	return value, ok, nil
}

// Section returns all keys of a section, read at one moment.
func (s *Store) Section(section string) (map[string]string, error) {
	file, err := s.load(storeFile)
	if err != nil {
		return nil, err
	}
	return file.section(section), nil
}

// Save writes all values of one section in one step: a reader, and a machine
// that crashes, sees all of them or none. Any value but one with a NUL byte
// comes back as it was.
func (s *Store) Save(ctx context.Context, section string, values map[string]string) error {
	if err := checkName("section", section); err != nil {
		return err
	}
	keys := make([]string, 0, len(values))
	for key, value := range values {
		if err := checkName("key", key); err != nil {
			return err
		}
		if strings.ContainsRune(value, 0) {
			return fmt.Errorf("store: value of [%s] %s holds a NUL byte", section, key)
		}
		keys = append(keys, key)
	}
	sort.Strings(keys)

	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()

	file, err := s.load(storeFile)
	if err != nil {
		return err
	}
	owners, err := s.load(ownersFile)
	if err != nil {
		return err
	}
	var overwritten []Overwrite
	for _, key := range keys {
		before, known := owners.get(section, key)
		old, had := file.get(section, key)
		if known && had && before != s.Owner && old != values[key] {
			overwritten = append(overwritten, Overwrite{Section: section, Key: key, Before: before, Now: s.Owner})
		}
		file.set(section, key, values[key])
		if s.Owner != "" {
			owners.set(section, key, s.Owner)
		}
	}
	if err := s.write(storeFile, file); err != nil {
		return err
	}
	if s.Owner != "" {
		// After the values: a crash between the two loses a name, not a value.
		if err := s.write(ownersFile, owners); err != nil {
			return err
		}
	}
	if s.OnOverwrite != nil {
		for _, o := range overwritten {
			s.OnOverwrite(o)
		}
	}
	return nil
}

// Forget removes a section with all its keys, but for those that begin with one
// of the prefixes, in one step per file.
func (s *Store) Forget(ctx context.Context, section string, but ...string) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for _, name := range []string{storeFile, ownersFile} {
		file, err := s.load(name)
		if err != nil {
			return err
		}
		kept := file.section(section)
		maps.DeleteFunc(kept, func(key, _ string) bool { return !beginsWithOneOf(key, but) })
		if !file.remove(section) {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(kept)) {
			file.set(section, key, kept[key])
		}
		if err := s.write(name, file); err != nil {
			return err
		}
	}
	return nil
}

func beginsWithOneOf(key string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// Reset forgets everything, as the start of a base run does.
func (s *Store) Reset(ctx context.Context) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	for _, name := range []string{storeFile, ownersFile} {
		if err := os.Remove(filepath.Join(s.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("store: reset: %w", err)
		}
	}
	return nil
}

func (s *Store) load(name string) (*iniFile, error) {
	content, err := os.ReadFile(filepath.Join(s.Dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: %w", err)
	}
	return parseINI(content), nil
}

// lock takes the writers' lock. It polls, so that a cancelled context is heeded
// while another writer holds the lock.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	path := filepath.Join(s.Dir, lockFile)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := s.chown(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("store: lock %s: %w", path, err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("store: %s is held by another writer: %w", path, ctx.Err()), file.Close())
		case <-pause.C:
		}
	}
}

// write replaces a file in one step.
func (s *Store) write(name string, content *iniFile) error {
	file, err := os.CreateTemp(s.Dir, "."+name+".*") // 0600
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	_, err = file.Write(content.bytes())
	err = errors.Join(err, s.chown(file), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(s.Dir, name))
	}
	if err != nil {
		return fmt.Errorf("store: write %s: %w", name, errors.Join(err, os.Remove(file.Name())))
	}
	// Without this the rename itself may be lost in a crash.
	dir, err := os.Open(s.Dir)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("store: sync %s: %w", s.Dir, err)
	}
	return nil
}

// chown gives a file the directory's owner. Only root can, and only root must.
func (s *Store) chown(file *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(s.Dir)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if err := file.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}
