package plugincheck

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Whatever bash may be given is looked at without a panic.
func FuzzScript(f *testing.F) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		f.Fatal("no archives", err)
	}
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.Contains(file.Name, "upgrade/") {
				f.Add(string(file.Data))
			}
		}
	}
	words, err := newLexicon(tree())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parse([]byte(text), "fuzz")
		if err != nil {
			t.Skip("no bash")
		}
		for _, name := range []string{"settings", "resources.sh", "upgrade.sh", "from-zed/upgrade-x"} {
			s := &script{path: name, name: name, text: text, file: file, functions: functionsOf(file)}
			subject := &subject{dir: t.TempDir(), scripts: []*script{s}}
			subject.check(words, nil)
			s.allow()
			if _, err := checkPresence(subject.dir, subject.scripts); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
	})
}
