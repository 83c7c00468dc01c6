package plugins

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestFunctionsThatAreReadLateAreWhereTheyAreLookedFor(t *testing.T) {
	g := NewWithT(t)
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("shell/inc", name))
		g.Expect(err).NotTo(HaveOccurred())
		return string(text)
	}
	line := regexp.MustCompile(`^function (\w+) \{ _autoload (\w+) (\w+) "\$@"; \}$`)
	files, late := map[string]bool{}, map[string]bool{}
	for text := range strings.Lines(read("autoload")) {
		text = strings.TrimSuffix(text, "\n")
		if !strings.HasPrefix(text, "function ") || strings.HasPrefix(text, "function _autoload") {
			continue
		}
		found := line.FindStringSubmatch(text)
		g.Expect(found).NotTo(BeNil(), text)
		g.Expect(found[3]).To(Equal("_" + found[1]))
		g.Expect(read(found[2])).To(ContainSubstring("\nfunction " + found[3] + " {\n"))
		files[found[2]], late[found[1]] = true, true
	}
	g.Expect(late).To(HaveKey("resource_save"))
	outside := regexp.MustCompile(`(?m)^[^#\s}].*$`)
	for file := range files {
		for _, text := range outside.FindAllString(read(file), -1) {
			g.Expect(text).To(HavePrefix("function _"), "inc/"+file+" is read late, inside of a function")
		}
	}
}

func TestAFunctionIsReadWhenItIsCalled(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	output, code := w.bash(t, `
set -o errexit -o nounset
source $GRENADE_DIR/grenaderc
source $GRENADE_DIR/functions
trap 'echo ERR $BASH_COMMAND' ERR
before=$-
! declare -F _resource_save
resource_save late key "a value"
[[ $- == "$before" ]] && declare -F _resource_save
resource_save late other 1
echo "$(resource_get late key), $(resource_get late other)"
is_service_running surely-not-there 2>/dev/null || echo not running
`)
	g.Expect(code).To(Equal(0), output)
	g.Expect(lines(output)).To(Equal(lines("_resource_save\na value, 1\nnot running\n")))
}

// As upstream, where all functions have been read before.
func TestAFunctionThatAPluginDefinesItselfStays(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	output, code := w.bash(t, `
source $GRENADE_DIR/grenaderc
source $GRENADE_DIR/functions
is_service_running() { echo "my own, $1"; }
resource_save() { echo "saved by my own"; }
SERVICE_TIMEOUT=1
ensure_services_stopped surely-not-there 2>/dev/null
resource_get no such
is_service_running a
resource_save b c d
`)
	g.Expect(code).To(Equal(0), output)
	g.Expect(lines(output)).To(Equal(lines("my own, a\nsaved by my own\n")))
}
