package plugins

import (
	"bufio"
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// dumpsName is where plugins/shell/inc/load keeps its dumps, below SAVE_DIR.
const dumpsName = "functions.cache"

// Dumps saves scripts the asking whether the target tree's functions are still those
// that were dumped (plugins/shell/inc/load): that takes a process in each of them,
// and a look at the files' state here. A script that is told nothing asks itself.
//
// It may be used by rows that run side by side.
type Dumps struct {
	// dirs is a pattern for where dumps can be.
	dirs string
	// tree is where the node has the target tree, and onHost tells where this host finds it.
	tree   string
	onHost func(path string) string

	mu sync.Mutex
	// known is the directory of dumps that fitted files in this state.
	known string
	state map[string]fileState
}

// fileState is what changes when a file does: nobody can set the last of them back.
type fileState struct {
	device, inode    uint64
	size             int64
	modified, status time.Time // status is that of the inode, "ctime"
}

// settledAfter is how long ago a file must have been changed to tell from its times
// that it has not been since: a file system's clock goes by ticks (of 10 ms at most).
const settledAfter = 50 * time.Millisecond

// NewDumps is for the functions of the tree that the node has there, and for the dumps
// in SAVE_DIR. What onHost says may change while the node does.
func NewDumps(saveDir, tree string, onHost func(path string) string) *Dumps {
	return &Dumps{dirs: filepath.Join(escapeGlob(saveDir), dumpsName, "tree.*"), tree: tree, onHost: onHost}
}

// Of returns the directory with dumps of the tree's functions as they are now. It is
// empty when there is none, and when it cannot be told: that is no error.
func (d *Dumps) Of() string {
	state, err := d.stateNow()
	if err != nil {
		return ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known != "" && maps.Equal(state, d.state) {
		return d.known
	}
	d.known = ""
	found, err := filepath.Glob(d.dirs)
	if err != nil {
		return ""
	}
	for _, dir := range found {
		if !d.fit(filepath.Join(dir, "sums"), state) {
			continue
		}
		// What was changed while it was read, or just before, may be another file by now.
		after, err := d.stateNow()
		if err != nil || !maps.Equal(state, after) || !settled(state) {
			return ""
		}
		d.known, d.state = dir, state
		return dir
	}
	return ""
}

// stateNow tells how the files are now whose functions are dumped, by their path
// below the tree. inc/load looks for the same.
func (d *Dumps) stateNow() (map[string]fileState, error) {
	tree := d.onHost(d.tree)
	state, escaped := map[string]fileState{}, escapeGlob(tree)
	for _, pattern := range []string{"functions", "functions-*", "inc/*", "lib/stack"} {
		matches, err := filepath.Glob(filepath.Join(escaped, pattern))
		if err != nil {
			return nil, fmt.Errorf("the tree's functions: %w", err)
		}
		for _, path := range matches {
			info, err := os.Stat(path)
			if err != nil {
				return nil, fmt.Errorf("the tree's functions: %w", err)
			}
			// As bash, which has no dotglob, and leaves directories out.
			if !info.Mode().IsRegular() || strings.HasPrefix(filepath.Base(path), ".") {
				continue
			}
			stat, known := info.Sys().(*syscall.Stat_t)
			if !known {
				return nil, fmt.Errorf("the tree's functions: no state of %s", path)
			}
			state[strings.TrimPrefix(path, tree+"/")] = fileState{
				device: stat.Dev, inode: stat.Ino, size: stat.Size,
				modified: time.Unix(stat.Mtim.Unix()), status: time.Unix(stat.Ctim.Unix()),
			}
		}
	}
	if len(state) == 0 {
		return nil, fmt.Errorf("the tree's functions: %s holds none", tree)
	}
	return state, nil
}

func settled(state map[string]fileState) bool {
	before := time.Now().Add(-settledAfter)
	for _, each := range state {
		if each.status.After(before) {
			return false
		}
	}
	return true
}

// fit tells whether the file that sha512sum(1) wrote names just these files, with the
// content that they have.
func (d *Dumps) fit(sums string, state map[string]fileState) bool {
	text, err := os.ReadFile(sums)
	if err != nil {
		return false
	}
	named := map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		// A name with a backslash or a newline begins the line with one: it fits none.
		sum, path, found := strings.Cut(lines.Text(), "  ")
		name := strings.TrimPrefix(path, d.tree+"/")
		if _, there := state[name]; !found || !there || named[name] {
			return false
		}
		content, err := os.ReadFile(filepath.Join(d.onHost(d.tree), name))
		if err != nil {
			return false
		}
		if actual := sha512.Sum512(content); hex.EncodeToString(actual[:]) != sum {
			return false
		}
		named[name] = true
	}
	return len(named) == len(state)
}
