package plugincheck

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"mvdan.cc/sh/v3/syntax"

	"grenade/framework/config"
	"grenade/plugins"
)

// Input says what is looked at.
type Input struct {
	// Dirs are the plugins' directories (Locate).
	Dirs []string
	// Tree is the DevStack-shaped tree whose functions scripts may call.
	Tree fs.FS
	// Reserved are words that no project may be called.
	Reserved []string
}

// Report is what Check found.
type Report struct {
	// Findings are in the order of their places.
	Findings []Finding
	// Unfollowed are the scripts that source what is in neither the tree nor their
	// repository: their commands and variables could not be judged.
	Unfollowed []string
}

// subject is one plugin that is looked at.
type subject struct {
	dir      string
	projects []plugins.Plugin
	scripts  []*script
}

// Check looks at plugins, each alone and all together. It changes nothing, and runs
// nothing but bash -n. The error is for a tree that is none, a file that cannot be
// read, and a context that has ended.
func Check(ctx context.Context, in Input) (*Report, error) {
	words, err := newLexicon(in.Tree)
	if err != nil {
		return nil, err
	}
	report := &Report{}
	var subjects []*subject
	for _, dir := range in.Dirs {
		subject, found, err := read(ctx, dir)
		if err != nil {
			return nil, err
		}
		subjects, report.Findings = append(subjects, subject), append(report.Findings, found...)
	}
	named, err := checkNames(in, subjects)
	if err != nil {
		return nil, err
	}
	report.Findings = append(report.Findings, named...)
	inTree, err := inTreeScripts(in.Dirs)
	if err != nil {
		return nil, err
	}
	for i, subject := range subjects {
		others := accesses(inTree, "resource_save")
		for j, other := range subjects {
			if i != j {
				others = append(others, accesses(other.scripts, "resource_save")...)
			}
		}
		subject.check(words, others)
		for _, script := range subject.scripts {
			script.allow()
			report.Findings = append(report.Findings, script.findings...)
			if script.unfollowed {
				report.Unfollowed = append(report.Unfollowed, script.path)
			}
		}
	}
	report.Findings = sorted(report.Findings)
	return report, nil
}

// read reads one plugin, and says what its files alone tell.
func read(ctx context.Context, dir string) (*subject, []Finding, error) {
	scripts, findings, err := readScripts(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	projects, err := plugins.Registered(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("plugin %s: %w", dir, err)
	}
	if len(projects) == 0 {
		findings = append(findings, Finding{
			File: filepath.Join(dir, "settings"), Rule: ruleNoProject,
			Message: "settings register no project, as far as their text tells",
		})
	}
	for _, oddity := range plugins.Oddities([]plugins.Plugin{{Dir: dir}}) {
		findings = append(findings, Finding{File: oddity.Path, Rule: ruleNeverRun, Message: "it " + oddity.Remark})
	}
	missing, err := checkPresence(dir, scripts)
	if err != nil {
		return nil, nil, err
	}
	return &subject{dir: dir, projects: projects, scripts: scripts}, append(findings, missing...), nil
}

// check looks at each script. others are what further plugins save.
func (s *subject) check(words *lexicon, others []access) {
	checkout := s.checkout()
	for _, script := range s.scripts {
		checkSwallowed(script)
		checkLostInLocal(script)
		checkLostInPipe(script)
		checkEval(script)
		checkLoops(script)
		checkDie(script)
		checkPaths(script)
		sourced := readAll(script, checkout, words)
		add(sourced.set, s.exports())
		script.unfollowed = sourced.lost
		checkSources(script, sourced)
		checkCommands(script, sourced)
		checkVariables(script, sourced)
		switch {
		case script.name == "settings":
			checkSettings(script)
		case script.runs():
			checkErrexit(script)
			checkErrexitOff(script)
		}
		if script.name == "resources.sh" {
			checkPhases(script)
		}
	}
	var names []string
	for _, project := range s.projects {
		names = append(names, project.Project)
	}
	checkStoreNames(s.scripts)
	checkNeverSaved(s.scripts, names, others)
	checkCollisions(s.scripts, others)
}

// exports are the variables that the plugin's settings may hand to its scripts.
func (s *subject) exports() (names []string) {
	for _, script := range s.scripts {
		if script.name == "settings" {
			walk(script.file, func(node syntax.Node, _ []syntax.Node) { names = append(names, assignedBy(node)...) })
		}
	}
	return names
}

// checkout is the shelf of the plugin's repository, or of its directory alone when it
// is none that has devstack/upgrade.
func (s *subject) checkout() *shelf {
	names := []string{"devstack"}
	for _, project := range s.projects {
		names = append(names, project.Project)
	}
	if filepath.Base(s.dir) == "upgrade" {
		root := filepath.Dir(filepath.Dir(s.dir))
		devstack := filepath.Base(filepath.Dir(s.dir))
		return newShelf(os.DirFS(root), append(names, filepath.Base(root)), devstack, ".", devstack+"/*")
	}
	return newShelf(os.DirFS(s.dir), append(names, filepath.Base(s.dir)), ".")
}

// checkNames looks at the projects' names, beside those of the in-tree plugins whose
// place none of the directories takes.
func checkNames(in Input, subjects []*subject) ([]Finding, error) {
	inTree, err := plugins.InTree("")
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(inTree, func(plugin plugins.Plugin) bool {
		return slices.ContainsFunc(in.Dirs, func(dir string) bool { return filepath.Base(dir) == filepath.Base(plugin.Dir) })
	})
	for _, subject := range subjects {
		all = append(all, subject.projects...)
	}
	var findings []Finding
	for _, mistake := range config.Mistakes(plugins.CheckNames(all, in.Reserved)) {
		findings = append(findings, Finding{File: mistake.File, Line: mistake.Line, Rule: ruleName, Message: mistake.Message})
	}
	return findings, nil
}
