package plugins

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// What nobody can call before it is read is in no file that is read late, and what is
// called is in the file that is said to have it.
func TestFunctionsAreWhereTheyAreLookedForWhenTheyAreCalled(t *testing.T) {
	g := NewWithT(t)
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("shell/inc", name))
		g.Expect(err).NotTo(HaveOccurred())
		return string(text)
	}
	line := regexp.MustCompile(`^function (\w+) \{ _autoload (\w+) && (\w+) "\$@"; \}$`)
	files, late := map[string]bool{}, map[string]bool{}
	for text := range strings.Lines(read("autoload")) {
		text = strings.TrimSuffix(text, "\n")
		if !strings.HasPrefix(text, "function ") || strings.HasPrefix(text, "function _autoload ") {
			continue
		}
		found := line.FindStringSubmatch(text)
		g.Expect(found).NotTo(BeNil(), text)
		g.Expect(found[3]).To(Equal(found[1]))
		g.Expect(read(found[2])).To(ContainSubstring("\nfunction " + found[1] + " {\n"))
		files[found[2]], late[found[1]] = true, true
	}
	g.Expect(late).To(HaveKey("resource_save"))
	defined := regexp.MustCompile(`(?m)^function ([a-z]\w*) `)
	outside := regexp.MustCompile(`(?m)^[^#\s}].*$`)
	for file := range files {
		for _, found := range defined.FindAllStringSubmatch(read(file), -1) {
			g.Expect(late).To(HaveKey(found[1]), "of inc/"+file)
		}
		for _, text := range outside.FindAllString(read(file), -1) {
			g.Expect(text).To(HavePrefix("function "), "inc/"+file+" is read inside of a function")
		}
	}
}

func TestAFunctionThatIsReadLateIsReadOnce(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	output, code := w.bash(t, `
set -o errexit -o nounset
source $GRENADE_DIR/grenaderc
source $GRENADE_DIR/functions
trap 'echo ERR $BASH_COMMAND' ERR
before=$-
declare -f resource_save | grep -c _autoload
resource_save late key "a value"
[[ $- == "$before" ]] && ! declare -f resource_save | grep _autoload
resource_save late other 1
echo "$(resource_get late key), $(resource_get late other)"
is_service_running surely-not-there 2>/dev/null || echo not running
`)
	g.Expect(code).To(Equal(0), output)
	g.Expect(lines(output)).To(Equal(lines("1\na value, 1\nnot running\n")))
}
