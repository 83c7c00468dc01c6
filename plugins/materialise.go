package plugins

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// files holds the shell that scripts source and the in-tree plugins. It is
// never written to.
//
//go:embed all:shell all:[0-9][0-9]_*
var files embed.FS

const (
	shellDir = "shell"
	// projectsDir is where the in-tree plugins are below GRENADE_DIR, as they
	// are upstream.
	projectsDir = "projects"
)

// Materialise writes GRENADE_DIR: grenaderc, functions and what they source,
// and the in-tree plugins below projects/. Files that are there are replaced;
// others, such as a localrc or a pluginrc, stay. Programs get mode 0755, all
// else 0644, whatever the umask: embedded files have none.
func Materialise(grenadeDir string) error {
	if err := removeLink(filepath.Join(grenadeDir, projectsDir)); err != nil {
		return err
	}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(grenadeDir, materialisedName(name))
		if entry.IsDir() {
			return errors.Join(os.MkdirAll(target, 0o755), os.Chmod(target, 0o755))
		}
		content, err := files.ReadFile(name)
		if err != nil {
			return fmt.Errorf("embedded %s: %w", name, err)
		}
		// Renamed into place: a script that runs right now keeps its own text.
		part := target + ".new"
		return errors.Join(os.WriteFile(part, content, 0o644), os.Chmod(part, modeOf(name)), os.Rename(part, target))
	})
	if err != nil {
		return fmt.Errorf("write GRENADE_DIR %s: %w", grenadeDir, err)
	}
	return nil
}

// UseProjects has GRENADE_DIR, which Materialise has written, name the directory
// projects in place of the in-tree plugins. Plugins run by their real path; this
// is for scripts that look for one another below GRENADE_DIR.
func UseProjects(grenadeDir, projects string) error {
	link := filepath.Join(grenadeDir, projectsDir)
	// Never through a link: that directory is somebody's own.
	if err := removeLink(link); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(link), os.Symlink(projects, link)); err != nil {
		return fmt.Errorf("plugins of GRENADE_DIR %s: %w", grenadeDir, err)
	}
	return nil
}

// removeLink removes a symbolic link; what else is there stays.
func removeLink(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return nil //nolint:nilerr // nothing is there
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("plugins of GRENADE_DIR: %w", err)
	}
	return nil
}

// Shell is what GRENADE_DIR holds besides the in-tree plugins: grenaderc, functions
// and inc/, as they are embedded.
func Shell() (fs.FS, error) {
	shell, err := fs.Sub(files, shellDir)
	if err != nil {
		return nil, fmt.Errorf("the embedded shell: %w", err)
	}
	return shell, nil
}

// InTreeFile returns a file of an in-tree plugin by its path below plugins/, such
// as "50_neutron/probe.py", for checks that use it without a GRENADE_DIR.
func InTreeFile(name string) ([]byte, error) {
	content, err := files.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("in-tree plugin's file: %w", err)
	}
	return content, nil
}

// materialisedName is where an embedded file goes, relative to GRENADE_DIR.
func materialisedName(name string) string {
	if name == "." {
		return "."
	}
	if rest, ok := strings.CutPrefix(name, shellDir); ok {
		return filepath.FromSlash("." + rest)
	}
	return filepath.Join(projectsDir, filepath.FromSlash(name))
}

func modeOf(name string) fs.FileMode {
	if strings.HasSuffix(name, ".sh") || path.Base(name) == loadSettings {
		return 0o755
	}
	return 0o644
}
