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
	"strings"
	"syscall"
)

// Store is the memory that checks keep between phases, the one that resource_save
// and resource_get have: $SAVE_DIR/grenade_db.ini and a log beside it, described
// in plugins/shell/inc/store. There is no lock. A save appends a step to the log,
// syncs it, and then replaces the ini file by one that has everything of the log,
// synced and renamed into place. What was saved before a crash is therefore there
// after it.
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

// filesOf are the names of a section's two files in $SAVE_DIR. What native checks
// keep is large, so they have files of their own: resource_get must not read past
// that.
func filesOf(section string) (ini, log string) {
	base := "grenade_db"
	if strings.HasPrefix(section, nativePrefix) {
		base = "grenade_native"
	}
	return base + ".ini", "." + base + ".log"
}

// nativePrefix is how the sections of native checks begin.
const nativePrefix = "native-"

// Get returns the value byte for byte. A missing key, section or file is no
// error: ok is false, as resource_get prints nothing and returns 0.
func (s *Store) Get(section, key string) (value string, ok bool, err error) {
	now, err := s.load(section)
	if err != nil {
		return "", false, err
	}
	value, ok = now.file.get(section, key)
	return value, ok, nil
}

// Section returns all keys of a section, read at one moment.
func (s *Store) Section(section string) (map[string]string, error) {
	now, err := s.load(section)
	if err != nil {
		return nil, err
	}
	return now.file.section(section), nil
}

// Owners returns who saved each key of a section last, as far as that was said:
// what resource_save calls GRENADE_PROJECT.
func (s *Store) Owners(section string) (map[string]string, error) {
	now, err := s.load(section)
	if err != nil {
		return nil, err
	}
	owners := map[string]string{}
	for key := range now.file.section(section) {
		if owner := now.owner(section, key); owner != "" {
			owners[key] = owner
		}
	}
	return owners, nil
}

// Save writes all values of one section in one step: a reader, and a machine
// that crashes, sees all of them or none. Any value but one with a NUL byte
// comes back as it was.
func (s *Store) Save(ctx context.Context, section string, values map[string]string) error {
	if err := checkName("section", section); err != nil {
		return err
	}
	var step []change
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if err := checkName("key", key); err != nil {
			return err
		}
		if strings.ContainsRune(values[key], 0) {
			return fmt.Errorf("store: value of [%s] %s holds a NUL byte", section, key)
		}
		step = append(step, change{section: section, key: key, owner: s.Owner, value: values[key]})
	}
	before, err := s.commit(ctx, step)
	if err != nil || s.OnOverwrite == nil {
		return err
	}
	for _, now := range step {
		old, had := before.file.get(section, now.key)
		if owner := before.owner(section, now.key); had && old != now.value && owner != "" && s.Owner != "" && owner != s.Owner {
			s.OnOverwrite(Overwrite{Section: section, Key: now.key, Before: owner, Now: s.Owner})
		}
	}
	return nil
}

// Forget removes all keys of a section, but for those that begin with one of the
// prefixes, in one step.
func (s *Store) Forget(ctx context.Context, section string, but ...string) error {
	saved, err := s.Section(section)
	if err != nil {
		return err
	}
	var step []change
	for _, key := range slices.Sorted(maps.Keys(saved)) {
		if !beginsWithOneOf(key, but) {
			step = append(step, change{drop: true, section: section, key: key, owner: s.Owner})
		}
	}
	_, err = s.commit(ctx, step)
	return err
}

func beginsWithOneOf(key string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// Reset forgets everything, as the start of a base run does. Nobody else may use
// the store meanwhile.
func (s *Store) Reset(context.Context) error {
	for _, pattern := range []string{"grenade_db.ini*", ".grenade_db.*", "grenade_native.ini*", ".grenade_native.*"} {
		names, err := fs.Glob(os.DirFS(s.Dir), pattern)
		if err != nil {
			return fmt.Errorf("store: reset: %w", err)
		}
		for _, name := range names {
			if err := os.Remove(filepath.Join(s.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("store: reset: %w", err)
			}
		}
	}
	return nil
}

// snapshot is what a pair of files holds at one moment.
type snapshot struct {
	file *iniFile
	log  history
	// text is the log itself.
	text string
	// saved is how many lines of the log the ini file has; file has log.settled.
	saved int
	// lost tells that the log is shorter than it was: somebody has removed it.
	lost bool
}

// load reads the ini file and then the log, so that the log is never the older.
func (s *Store) load(section string) (*snapshot, error) {
	iniName, logName := filesOf(section)
	content, err := s.read(iniName)
	if err != nil {
		return nil, err
	}
	log, err := s.read(logName)
	if err != nil {
		return nil, err
	}
	return merge(content, string(log)), nil
}

// merge takes over what of the log is not in the ini file.
func merge(content []byte, log string) *snapshot {
	now := &snapshot{file: parseINI(content), log: parseLog(log), text: log}
	now.saved = now.file.takeSaved()
	if now.saved > now.log.lines {
		now.saved, now.lost = 0, true
	}
	for _, step := range now.log.steps {
		if step.end > now.saved {
			step.apply(now.file)
		}
	}
	return now
}

// owner is who said last that the key is his.
func (n *snapshot) owner(section, key string) string {
	owner := ""
	for _, step := range n.log.steps {
		for _, c := range step.changes {
			if c.section == section && c.key == key && c.owner != "" && !c.drop {
				owner = c.owner
			}
		}
	}
	return owner
}

// commit appends the changes, all of one section, to the log as one step, and
// brings the ini file up to date. before is what the log said before that.
func (s *Store) commit(ctx context.Context, changes []change) (before *snapshot, err error) {
	if len(changes) == 0 {
		return merge(nil, ""), nil
	}
	section := changes[0].section
	iniName, logName := filesOf(section)
	now, err := s.load(section)
	if err != nil {
		return nil, err
	}
	if now.lost {
		// Else the file would seem to have the lines with which the log begins anew.
		if err := s.write(iniName, now.file.bytesSaved(now.log.settled)); err != nil {
			return nil, err
		}
	}
	lines := logLines(changes)
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("store: save [%s]: %w", section, err)
		}
		earlier, err := s.read(logName)
		if err != nil {
			return nil, err
		}
		if err := s.append(logName, lines); err != nil {
			return nil, err
		}
		log, err := s.read(logName)
		if err != nil {
			return nil, err
		}
		// What two writers have mixed up is in nobody's way, but does not count.
		if at := strings.Index("\n"+string(log[min(len(earlier), len(log)):]), "\n"+lines); at >= 0 && intact(earlier, at) {
			before = merge(nil, string(log[:min(len(earlier), len(log))+at]))
			break
		}
	}
	return before, s.show(ctx, section)
}

// intact tells whether lines that begin so far after what was there begin a line:
// a killed writer may have left one without an end.
func intact(earlier []byte, after int) bool {
	return after > 0 || len(earlier) == 0 || earlier[len(earlier)-1] == '\n'
}

// show brings the ini file up to date with the log. Another writer may put an
// older one in its place; so it looks again until it finds nothing to do.
func (s *Store) show(ctx context.Context, section string) error {
	iniName, _ := filesOf(section)
	for {
		now, err := s.load(section)
		if err != nil || now.log.settled <= now.saved {
			return err
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("store: save [%s]: %w", section, err)
		}
		if err := s.write(iniName, now.file.bytesSaved(now.log.settled)); err != nil {
			return err
		}
	}
}

func (s *Store) read(name string) ([]byte, error) {
	content, err := os.ReadFile(filepath.Join(s.Dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: %w", err)
	}
	return content, nil
}

// append adds text to a file in one write, and syncs it.
func (s *Store) append(name, text string) error {
	path := filepath.Join(s.Dir, name)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.create(path); err != nil {
			return err
		}
		file, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("store: append to %s: %w", path, err)
	}
	return nil
}

// create makes an empty file. It appears with its owner: a script that saves at
// the same moment must be able to write it.
func (s *Store) create(path string) error {
	file, err := os.CreateTemp(s.Dir, filepath.Base(path)+".*") // 0600
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	err = errors.Join(s.chown(file), file.Close())
	if err == nil {
		err = os.Link(file.Name(), path)
	}
	if errors.Is(err, fs.ErrExist) {
		err = nil // somebody else was first
	}
	if err := errors.Join(err, os.Remove(file.Name())); err != nil {
		return fmt.Errorf("store: create %s: %w", path, err)
	}
	return s.syncDir()
}

// write replaces a file in one step.
func (s *Store) write(name string, content []byte) error {
	file, err := os.CreateTemp(s.Dir, "."+name+".*") // 0600
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	_, err = file.Write(content)
	err = errors.Join(err, s.chown(file), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), filepath.Join(s.Dir, name))
	}
	if err != nil {
		return fmt.Errorf("store: write %s: %w", name, errors.Join(err, os.Remove(file.Name())))
	}
	return s.syncDir()
}

// syncDir makes names last: without it a rename may be lost in a crash.
func (s *Store) syncDir() error {
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
