package plugins

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"grenade/framework/config"
)

// Oddity is a remark on a file or directory of a plugin.
type Oddity struct {
	Path string
	// Remark reads on from the path: "is never run: …".
	Remark string
}

// String is the remark as it stands in a report.
func (o Oddity) String() string { return o.Path + " " + o.Remark }

// oddity makes one, from what fmt.Sprintf makes of the rest.
func oddity(path, format string, args ...any) Oddity {
	return Oddity{Path: path, Remark: fmt.Sprintf(format, args...)}
}

// Oddities returns remarks on files that look as if they were meant for a run,
// but that neither this project nor upstream ever executes: a "resource.sh", a
// from-<release> directory of a release that does not exist. They belong into
// the run's report.
func Oddities(plugins []Plugin) []Oddity {
	var remarks []Oddity
	for _, dir := range dirsOf(plugins) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // not there yet, or CheckScripts says it
		}
		for _, entry := range entries {
			if entry.IsDir() {
				remarks = append(remarks, oddSteps(dir, entry.Name())...)
			} else {
				remarks = append(remarks, oddScript(dir, entry.Name())...)
			}
		}
	}
	return remarks
}

func oddScript(dir, name string) (remarks []Oddity) {
	if slices.Contains(scriptNames(), name) || !strings.HasSuffix(name, ".sh") {
		return nil
	}
	for _, known := range scriptNames() {
		if Distance(name, known) <= 2 {
			remarks = append(remarks, oddity(filepath.Join(dir, name), "is never run: did its author mean %s?", known))
		}
	}
	return remarks
}

// stepDir is a directory's name that is, or was to be, from-<release> or
// within-<release>.
var stepDir = regexp.MustCompile(`^([A-Za-z]{3,8})([-_ ])(.+)$`)

// oddSteps looks at a directory of steps, as upgrade_project does.
func oddSteps(dir, name string) []Oddity {
	match := stepDir.FindStringSubmatch(name)
	if match == nil {
		return nil
	}
	path := filepath.Join(dir, name)
	direction, release := match[1], match[3]
	files := upgradeFiles(path)
	if direction != "from" && direction != "within" || match[2] != "-" {
		for _, known := range []string{"from", "within"} {
			if len(files) > 0 && Distance(strings.ToLower(direction), known) <= 2 {
				return []Oddity{oddity(path, "is never read: did its author mean %s-%s?", known, release)}
			}
		}
		return nil // something else
	}
	if _, known := config.Ordinal(release); !known && release != config.Master {
		remark := oddity(path, "can never match: %s is no release of a branch", release)
		if meant := meantRelease(release); meant != "" {
			remark.Remark += fmt.Sprintf("; did its author mean %s-%s?", direction, meant)
		}
		return []Oddity{remark}
	}
	if len(files) == 0 {
		return []Oddity{oddity(path, "holds no upgrade-<project>, so nothing in it is ever read")}
	}
	return oddUpgradeFiles(dir, name, files)
}

// upgradeFiles are the projects of a directory's upgrade-<project>.
func upgradeFiles(dir string) []string {
	matches, err := filepath.Glob(filepath.Join(escapeGlob(dir), "upgrade-*"))
	if err != nil {
		return nil // the pattern is well-formed
	}
	var projects []string
	for _, match := range matches {
		projects = append(projects, strings.TrimPrefix(filepath.Base(match), "upgrade-"))
	}
	return projects
}

// upgradeCall is a call of upgrade_project and the project that it names.
var upgradeCall = regexp.MustCompile(`(?m)^[^#\n]*\bupgrade_project[ \t]+(\S+)`)

func oddUpgradeFiles(dir, name string, projects []string) (remarks []Oddity) {
	script, err := os.ReadFile(filepath.Join(dir, "upgrade.sh"))
	if err != nil {
		return nil // a plugin without an upgrade.sh is told elsewhere
	}
	var called []string
	for _, match := range upgradeCall.FindAllStringSubmatch(string(script), -1) {
		called = append(called, strings.Trim(match[1], `"'`))
	}
	computed := slices.ContainsFunc(called, func(word string) bool { return strings.ContainsAny(word, "$`") })
	for _, project := range projects {
		path := filepath.Join(dir, name, "upgrade-"+project)
		if !computed && !slices.Contains(called, project) {
			remarks = append(remarks, oddity(path, "is never read: upgrade.sh does not call upgrade_project %s", project))
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			continue // CheckScripts says it
		}
		function := "configure_" + project + "_upgrade"
		if !strings.Contains(string(text), function) {
			remarks = append(remarks, oddity(path, "does not define %s, which upgrade_project calls", function))
		}
	}
	return remarks
}

// meantRelease guesses what release a directory's name was to be.
func meantRelease(name string) string {
	name = strings.TrimSuffix(strings.TrimPrefix(name, "stable"), "/")
	name = strings.TrimLeft(name, "-_. ")
	if meant := config.NameOf(name); meant != "" {
		return meant
	}
	best, at := "", 3
	for _, candidate := range config.ReleaseNames() {
		if d := Distance(strings.ToLower(name), candidate); d < at {
			best, at = candidate, d
		}
	}
	return best
}

// Distance counts the letters to insert, delete or change between two names.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
