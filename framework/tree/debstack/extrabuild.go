package debstack

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

var (
	//go:embed hooks/extra-setup.sh
	extraSetupHook string
	//go:embed hooks/extra-forget.sh
	extraForgetHook string
)

// extraPriority makes apt take a package even where that is a downgrade (apt_preferences(5): more than 1000).
const extraPriority = 1001

// extraRecipe is what of the making of a root with extra packages is not in the builder's recipe.
func extraRecipe() string { return extraSetupHook + extraForgetHook + fmt.Sprint(extraPriority) }

// options writes what the hooks need to a directory, which it makes, and returns mmdebstrap's options: they must come
// before those of other hooks.
func (e *Extra) options(dir string) ([]string, error) {
	if e == nil {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("extra packages: %w", err)
	}
	line := e.from.Source
	// apt runs outside the root, dpkg in it: a file:// URI would make dpkg look for the package in the root.
	if path, ok := strings.CutPrefix(line.URI, "file:"); ok {
		line.URI = "copy:" + path
	}
	source := line.String()
	if e.from.Directory != "" {
		repository := filepath.Join(dir, "repository")
		if err := e.writeRepository(repository); err != nil {
			return nil, err
		}
		source = "deb [trusted=yes] copy:" + repository + " ./"
	}
	for name, text := range map[string]string{
		"extra.list": source + "\n",
		"extra.pref": fmt.Sprintf("Package: *\nPin: %s\nPin-Priority: %d\n", e.pin, extraPriority),
		"setup.sh":   extraSetupHook,
		"forget.sh":  extraForgetHook,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("extra packages: %w", err)
		}
	}
	return []string{
		// Else apt reads them as a user who cannot see the cache.
		`--aptopt=APT::Sandbox::User "root"`,
		fmt.Sprintf(`--setup-hook=sh %s "$1" %s`, shellQuote(filepath.Join(dir, "setup.sh")), shellQuote(dir)),
		fmt.Sprintf(`--customize-hook=sh %s "$1"`, shellQuote(filepath.Join(dir, "forget.sh"))),
	}, nil
}
