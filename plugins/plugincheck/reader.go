package plugincheck

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// reader follows what one script sources.
type reader struct {
	words    *lexicon
	checkout *shelf
	// defined are the functions, set the variables of what is sourced.
	defined, set map[string]bool
	seen         map[*syntax.File]bool
	script       *syntax.File
	// lost tells that something is sourced that could not be found, and may define anything.
	lost bool
	// absent are files that the tree should have and has not.
	absent map[string]bool
}

// treeVariables are those that point into a tree.
func treeVariables() []string {
	return []string{"TARGET_DEVSTACK_DIR", "BASE_DEVSTACK_DIR", "TOP_DIR", "DEVSTACK_DIR"}
}

// readAll follows all that a script sources.
func readAll(s *script, checkout *shelf, words *lexicon) *reader {
	r := &reader{
		words: words, checkout: checkout, script: s.file,
		defined: map[string]bool{}, set: map[string]bool{}, absent: map[string]bool{}, seen: map[*syntax.File]bool{},
	}
	if !s.runs() {
		// Settings are sourced behind GRENADE_DIR/functions, steps by upgrade.sh.
		r.source(sourced{variable: "GRENADE_DIR", end: "/functions"}, nil)
	}
	r.follow(s.file, checkout)
	return r
}

// follow takes in what a file defines and sources. home is the shelf that it is of.
func (r *reader) follow(file *syntax.File, home *shelf) {
	if file == nil || r.seen[file] {
		return
	}
	r.seen[file] = true
	walk(file, func(node syntax.Node, above []syntax.Node) {
		add(r.set, assignedBy(node))
		switch node := node.(type) {
		case *syntax.FuncDecl:
			r.defined[node.Name.Value] = true
		case *syntax.CallExpr:
			if len(node.Args) == 0 {
				return
			}
			what, ok := sourcedBy(node)
			if !ok || r.source(what, home) {
				return
			}
			// What a function of some library sources matters when it is called, if ever.
			if _, nested := inside[*syntax.FuncDecl](above); !nested || file == r.script {
				r.lost = true
			}
		}
	})
}

// source takes in what a call of source reads; found is false when that could be
// anything.
func (r *reader) source(what sourced, home *shelf) (found bool) {
	if what.variable == "GRENADE_DIR" {
		if strings.HasSuffix(what.end, "functions") {
			for _, name := range []string{"functions", "lib/stack"} {
				r.follow(r.words.tree.file(name), r.words.tree)
			}
		}
		return true
	}
	if what.variable == "" && strings.HasPrefix(what.end, "/") && r.checkout.find(what.end) == nil {
		return true // a file of the system: settings
	}
	ofTree, inTree := slices.Contains(treeVariables(), what.variable), home == r.words.tree
	shelves := []*shelf{r.checkout, r.words.tree}
	if inTree || ofTree {
		shelves = []*shelf{r.words.tree}
	}
	for _, shelf := range shelves {
		if files := shelf.find(what.end); len(files) > 0 {
			for _, name := range files {
				r.follow(shelf.file(name), shelf)
			}
			return true
		}
	}
	if inTree || !ofTree {
		return inTree // what the tree's own files source beyond the tree is configuration
	}
	name := strings.TrimPrefix(what.end, "/")
	if !strings.HasPrefix(name, "lib/") && !strings.HasPrefix(name, "inc/") {
		return true // stack.sh writes it, or the user: settings
	}
	r.absent[name] = true
	return false
}
