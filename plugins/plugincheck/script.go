package plugincheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"grenade/framework/config"
	"grenade/plugins"
)

// script is one file of a plugin's shell, read.
type script struct {
	path string
	// name is the path below the plugin's directory.
	name string
	text string
	file *syntax.File
	// functions are those that the file itself defines.
	functions map[string]*syntax.FuncDecl
	// shebang is the first line's, empty when there is none.
	shebang string
	// unfollowed tells that it sources what could not be found.
	unfollowed bool
	findings   []Finding
}

// report adds a finding at a node.
func (s *script) report(rule string, at syntax.Node, format string, args ...any) {
	s.findings = append(s.findings, Finding{File: s.path, Line: int(at.Pos().Line()), Rule: rule, Message: fmt.Sprintf(format, args...)})
}

// runs tells whether a run executes the script, so that its exit code counts.
func (s *script) runs() bool { return strings.HasSuffix(s.name, ".sh") }

// parse reads shell; name is for the error.
func parse(text []byte, name string) (*syntax.File, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash), syntax.KeepComments(true)).Parse(bytes.NewReader(text), name)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	return file, nil
}

// readScript reads one file. One that is not bash's is nil.
func readScript(dir, path string) (*script, error) {
	if bash, err := plugins.IsBash(path); err != nil || !bash {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	file, err := parse(text, path)
	if err != nil {
		return nil, err
	}
	name, err := filepath.Rel(dir, path)
	if err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	read := &script{path: path, name: name, text: string(text), file: file, functions: functionsOf(file)}
	if line, _, _ := strings.Cut(string(text), "\n"); strings.HasPrefix(line, "#!") {
		read.shebang = line
	}
	return read, nil
}

func functionsOf(file *syntax.File) map[string]*syntax.FuncDecl {
	functions := map[string]*syntax.FuncDecl{}
	walk(file, func(node syntax.Node, _ []syntax.Node) {
		if function, ok := node.(*syntax.FuncDecl); ok && function.Name != nil {
			functions[function.Name.Value] = function
		}
	})
	return functions
}

// readScripts reads the shell of a plugin's directory. What bash cannot parse, or a
// run would refuse, is a finding; err is for a context that has ended.
func readScripts(ctx context.Context, dir string) (scripts []*script, findings []Finding, err error) {
	refused := map[string]bool{}
	checked := plugins.CheckScripts(ctx, []plugins.Plugin{{Dir: dir}})
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("plugin %s: %w", dir, err)
	}
	mistakes := config.Mistakes(checked)
	if checked != nil && len(mistakes) == 0 {
		return nil, nil, fmt.Errorf("plugin %s: %w", dir, checked)
	}
	for _, mistake := range mistakes {
		refused[mistake.File] = true
		findings = append(findings, Finding{File: mistake.File, Line: mistake.Line, Rule: ruleUnreadable, Message: mistake.Message})
	}
	files, err := plugins.ShellFiles(dir)
	if err != nil && !config.IsMistake(err) { // which is a finding already
		return nil, nil, err
	}
	for _, path := range files {
		read, err := readScript(dir, path)
		switch {
		case err == nil && read != nil:
			scripts = append(scripts, read)
		case err != nil && !refused[path]:
			findings = append(findings, unparsable(path, err))
		}
	}
	return scripts, findings, nil
}

// unparsable is for what bash accepts and our parser does not.
func unparsable(path string, err error) Finding {
	finding := Finding{File: path, Rule: ruleUnreadable, Message: "bash can read it, plugin-check cannot, and has not looked at it: " + err.Error()}
	var place syntax.ParseError
	if errors.As(err, &place) {
		finding.Line, finding.Message = int(place.Pos.Line()), "bash can read it, plugin-check cannot, and has not looked at it: "+place.Text
	}
	return finding
}
