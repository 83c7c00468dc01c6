package guest

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"
)

// modules are the drivers that a kernel package brings, by name.
type modules struct {
	files map[string]string
	// builtin are those that the kernel has without loading them.
	builtin map[string]bool
}

// module is one that was read, not compressed any more.
type module struct {
	name    string
	content []byte
	needs   []string
}

// openModules lists what is below a kernel's directory in lib/modules.
func openModules(dir string) (modules, error) {
	found := modules{files: map[string]string{}, builtin: map[string]bool{}}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if name, _, ok := strings.Cut(filepath.Base(path), ".ko"); ok {
			found.files[moduleName(name)] = path
		}
		return nil
	})
	if err != nil {
		return modules{}, fmt.Errorf("list drivers: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return modules{}, fmt.Errorf("built-in drivers: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		found.builtin[moduleName(strings.TrimSuffix(filepath.Base(strings.TrimSpace(line)), ".ko"))] = true
	}
	return found, nil
}

// moduleName is the name that the kernel gives to a module: in files' names it may have dashes.
func moduleName(name string) string { return strings.ReplaceAll(name, "-", "_") }

// closure returns the module and everything that it needs, each after what it needs itself; nothing for one that is
// built in.
func (m modules) closure(name string) ([]module, error) {
	var ordered []module
	done := map[string]bool{}
	var visit func(name string) error
	visit = func(name string) error {
		name = moduleName(name)
		if done[name] || m.builtin[name] {
			return nil
		}
		done[name] = true
		one, err := m.read(name)
		if err != nil {
			return err
		}
		for _, needed := range one.needs {
			if err := visit(needed); err != nil {
				return err
			}
		}
		ordered = append(ordered, one)
		return nil
	}
	return ordered, visit(name)
}

func (m modules) read(name string) (module, error) {
	file, ok := m.files[name]
	if !ok {
		return module{}, fmt.Errorf("the kernel has no module %s", name)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return module{}, fmt.Errorf("module %s: %w", name, err)
	}
	switch filepath.Ext(file) {
	case ".ko":
	case ".xz":
		r, err := xz.NewReader(bytes.NewReader(content))
		if err != nil {
			return module{}, fmt.Errorf("module %s: decompress: %w", name, err)
		}
		if content, err = io.ReadAll(r); err != nil {
			return module{}, fmt.Errorf("module %s: decompress: %w", name, err)
		}
	default:
		return module{}, fmt.Errorf("module %s is compressed in a way that is not known here: %s", name, filepath.Base(file))
	}
	needs, err := dependencies(content)
	if err != nil {
		return module{}, fmt.Errorf("module %s: %w", name, err)
	}
	return module{name: name, content: content, needs: needs}, nil
}

// dependencies reads what a module says about itself: its section .modinfo is a list of name=value, each ended by a zero
// byte; the value of depends is a list with commas.
func dependencies(content []byte) ([]string, error) {
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("not a kernel module: %w", err)
	}
	section := file.Section(".modinfo")
	if section == nil {
		return nil, errors.New("not a kernel module: it has no section .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("section .modinfo: %w", err)
	}
	for field := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(field, "depends="); ok && list != "" {
			return strings.Split(list, ","), nil
		}
	}
	return nil, nil
}
