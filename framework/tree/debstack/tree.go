package debstack

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed all:tree
var embedded embed.FS

// Tree is the DevStack-shaped directory of shell that both sides get, the same files on each.
type Tree struct{ files fs.FS }

// NewTree is the tree that this program carries.
func NewTree() (Tree, error) {
	files, err := fs.Sub(embedded, "tree")
	if err != nil {
		return Tree{}, fmt.Errorf("the embedded tree: %w", err)
	}
	return Tree{files: files}, nil
}

// Files are the tree's files, to be read.
func (t Tree) Files() fs.FS { return t.files }

// Services reads what the tree's libs declare about themselves; the error belongs to ErrSetting.
func (t Tree) Services() (Services, error) { return readServices(t.files) }

// Write writes the tree to dir, which it makes, and gives everything to the owner. What has a #! line can be executed,
// the rest cannot: embedding forgets modes. Files that are there already are replaced; others are left alone.
func (t Tree) Write(dir string, uid, gid int) error {
	err := fs.WalkDir(t.files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if entry.IsDir() {
			if err := os.MkdirAll(path, 0o755); err != nil {
				return fmt.Errorf("directory: %w", err)
			}
			return own(path, 0o755, uid, gid)
		}
		text, err := fs.ReadFile(t.files, name)
		if err != nil {
			return fmt.Errorf("embedded file: %w", err)
		}
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(text, []byte("#!")) {
			mode = 0o755
		}
		if err := os.WriteFile(path, text, mode); err != nil {
			return fmt.Errorf("file: %w", err)
		}
		return own(path, mode, uid, gid)
	})
	if err != nil {
		return fmt.Errorf("write the tree to %s: %w", dir, err)
	}
	return nil
}

// own sets owner and mode, the mode whatever the umask says. The owner first: a change of owner clears mode bits.
func own(path string, mode fs.FileMode, uid, gid int) error {
	if err := os.Chown(path, uid, gid); err != nil {
		return fmt.Errorf("owner: %w", err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("mode: %w", err)
	}
	return nil
}
