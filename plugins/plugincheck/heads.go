package plugincheck

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// functionHead and assignmentHead find what a text defines and sets, without reading
// it as bash does: a tree is some megabyte.
var (
	functionHead   = regexp.MustCompile(`(?m)^\s*(?:function\s+([^\s(){}]+)|([A-Za-z_][A-Za-z0-9_.-]*)\s*\(\s*\))`)
	assignmentHead = regexp.MustCompile(`(?m)^\s*(?:export )?([A-Za-z_]\w*)=`)
)

// functionsIn are the functions that a text defines.
func functionsIn(text []byte) (names []string) {
	for _, match := range functionHead.FindAllSubmatch(text, -1) {
		names = append(names, string(match[1])+string(match[2]))
	}
	return names
}

// variablesIn are the variables that a text sets at the beginning of a line.
func variablesIn(text []byte) (names []string) {
	for _, match := range assignmentHead.FindAllSubmatch(text, -1) {
		names = append(names, string(match[1]))
	}
	return names
}

// texts visits the files of a directory; below: only those in it, and in and below
// these directories of it.
func texts(files fs.FS, below []string, visit func(name string, text []byte)) error {
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && !isBelow(name, below):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return fmt.Errorf("shell: %w", err)
		}
		visit(name, text)
		return nil
	})
	if err != nil {
		return fmt.Errorf("shell: %w", err)
	}
	return nil
}

func isBelow(name string, dirs []string) bool {
	for _, dir := range dirs {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}
