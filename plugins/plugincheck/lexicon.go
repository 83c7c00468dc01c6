package plugincheck

import (
	_ "embed"
	"fmt"
	"io/fs"
	"strings"

	"grenade/plugins"
)

// programs lists commands that are no functions: bash's own, and what a node with a
// cloud on it has, as far as plugins call them.
//
//go:embed programs.txt
var programs string

// lexicon knows the commands that scripts may call.
type lexicon struct {
	tree *shelf
	// always is what every script can call: bash, programs, GRENADE_DIR/functions.
	always map[string]bool
	// variables are those of every script's environment.
	variables map[string]bool
	// somewhere says which file of the tree defines a function.
	somewhere map[string]string
}

// newLexicon reads a tree; one without functions is an error.
func newLexicon(tree fs.FS) (*lexicon, error) {
	if _, err := fs.Stat(tree, "functions"); err != nil {
		return nil, fmt.Errorf("the tree is no DevStack-shaped directory: %w", err)
	}
	words := &lexicon{
		tree:   newShelf(tree, []string{"devstack"}, ".", "lib", "inc"),
		always: map[string]bool{}, variables: map[string]bool{}, somewhere: map[string]string{},
	}
	for line := range strings.Lines(programs) {
		if !strings.HasPrefix(line, "#") {
			add(words.always, strings.Fields(line))
		}
	}
	add(words.variables, environment())
	shell, err := plugins.Shell()
	if err != nil {
		return nil, err
	}
	err = texts(shell, []string{"inc"}, func(_ string, text []byte) {
		add(words.always, functionsIn(text))
		add(words.variables, variablesIn(text))
	})
	if err != nil {
		return nil, fmt.Errorf("GRENADE_DIR: %w", err)
	}
	err = texts(tree, []string{"inc", "lib"}, func(name string, text []byte) {
		for _, function := range functionsIn(text) {
			if words.somewhere[function] == "" {
				words.somewhere[function] = name
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("the tree: %w", err)
	}
	return words, nil
}

func add(set map[string]bool, names []string) {
	for _, name := range names {
		set[name] = true
	}
}

// environment are the variables that every script is given, or bash has.
func environment() []string {
	return []string{
		"GRENADE_DIR", "TOP_DIR", "LOGDIR", "SAVE_DIR", "STACK_ROOT", "BASE_DEVSTACK_DIR", "TARGET_DEVSTACK_DIR",
		"HOME", "PATH", "PWD", "USER", "BASH_SOURCE", "DEST", "GITDIR",
	}
}
