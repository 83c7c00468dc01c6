package plugincheck

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// shelf is a directory of shell that scripts source: a tree, or a plugin's checkout.
type shelf struct {
	files fs.FS
	// names are what the directory is called in paths that lead into it.
	names []string
	// starts are the directories in it that a path may begin at.
	starts []string
	read   map[string]*syntax.File
}

func newShelf(files fs.FS, names []string, starts ...string) *shelf {
	return &shelf{files: files, names: names, starts: starts, read: map[string]*syntax.File{}}
}

// file reads a file of the shelf; nil when it is not shell that can be parsed.
func (s *shelf) file(name string) *syntax.File {
	file, known := s.read[name]
	if !known {
		if text, err := fs.ReadFile(s.files, name); err == nil {
			file, _ = parse(text, name)
		}
		s.read[name] = file
	}
	return file
}

// find returns the files that the end of a path, a pattern, may mean; none when
// nothing fits.
func (s *shelf) find(end string) []string {
	parts := slices.DeleteFunc(strings.Split(end, "/"), func(part string) bool { return part == "" || part == "." || part == ".." })
	for len(parts) > 0 {
		for _, start := range s.starts {
			matches, err := fs.Glob(s.files, path.Join(start, path.Join(parts...)))
			matches = slices.DeleteFunc(matches, func(name string) bool {
				info, err := fs.Stat(s.files, name)
				return err != nil || info.IsDir()
			})
			if err == nil && len(matches) > 0 {
				return matches
			}
		}
		// $TARGET_RELEASE_DIR/heat/devstack/lib/heat
		if !slices.Contains(s.names, parts[0]) {
			return nil
		}
		parts = parts[1:]
	}
	return nil
}

// defining is the first file that a path may begin at and that defines a function;
// empty when there is none.
func (s *shelf) defining(function string) string {
	for _, start := range s.starts {
		files, err := fs.Glob(s.files, path.Join(start, "*"))
		if err != nil {
			continue // the pattern is well-formed
		}
		for _, name := range files {
			text, err := fs.ReadFile(s.files, name)
			if err == nil && slices.Contains(functionsIn(text), function) {
				return name
			}
		}
	}
	return ""
}
