package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// pair is what both sides did with one set of plugins.
type pair struct {
	name           string
	plugins        []laid
	given          []laid // upstream's own repositories
	root           string
	base, target   string // the branches
	ourSettings    bool
	upstream, ours *seen
}

// comparison runs both sides over a set of plugins.
func comparison(ctx context.Context, o options, set []string, out io.Writer) (made pair, err error) {
	s, err := newSite(ctx, o, set)
	if err != nil {
		return pair{}, err
	}
	defer func() {
		if removed := s.remove(); err == nil {
			err = removed
		}
	}()
	if o.keep {
		fmt.Fprintf(out, "%s: %s\n", setName(set), s.dir)
	}
	made = pair{name: setName(set), plugins: s.plugins, given: s.given, root: s.root, base: o.base, target: o.target, ourSettings: o.ourSettings}
	if err := s.copyAside(ctx); err != nil {
		return pair{}, err
	}
	if made.upstream, err = s.runUpstream(ctx); err != nil {
		return pair{}, fmt.Errorf("upstream: %w", err)
	}
	if err := s.layAnew(); err != nil {
		return pair{}, err
	}
	if made.ours, err = s.runOurs(ctx); err != nil {
		return pair{}, fmt.Errorf("ours: %w", err)
	}
	return made, nil
}

// difference is one thing that the two sides do not have in common.
type difference struct {
	// about says what differs: "projects", "local.conf base", "environment PATH", …
	about string
	// where are the scripts in which it does; empty where it is about no script.
	where []string
	// upstream and ours are what each side has, absent where it has nothing.
	upstream, ours string
}

// absent stands for what a side does not have.
const absent = "(nothing)"

// differences lists all that differs between the two sides.
func (p pair) differences() []difference {
	var all []difference
	differ := func(about, upstream, ours string) {
		if upstream != ours {
			all = append(all, difference{about: about, upstream: upstream, ours: ours})
		}
	}
	differ("failure", p.shorten(orAbsent(p.upstream.failure)), p.shorten(orAbsent(p.ours.failure)))
	differ("projects", strings.Join(p.upstream.projects, " "), strings.Join(p.ours.projects, " "))
	differ("databases", strings.Join(p.upstream.databases, " "), strings.Join(p.ours.databases, " "))
	for _, name := range keysOfBoth(p.upstream.pluginDir, p.ours.pluginDir) {
		differ("plugin directory of "+name, p.shorten(valueOf(p.upstream.pluginDir, name)), p.shorten(valueOf(p.ours.pluginDir, name)))
	}
	for _, name := range keysOfBoth(p.upstream.values, p.ours.values) {
		differ("variable "+name, valueOf(p.upstream.values, name), valueOf(p.ours.values, name))
	}
	for _, side := range []string{"base", "target"} {
		for _, hunk := range diff(lines(p.upstream.localConf[side]), lines(p.ours.localConf[side])) {
			differ("local.conf "+side, p.shorten(orAbsent(strings.Join(hunk.left, ""))), p.shorten(orAbsent(strings.Join(hunk.right, ""))))
		}
	}
	all = append(all, p.differencesOfCalls()...)
	for _, name := range keysOfBoth(p.upstream.surface, nil) {
		// What only ours has is not compared: nobody counts on it. What is in a
		// script's environment is compared as that.
		if variable, is := strings.CutPrefix(name, "variable "); is && (bashsOwn(variable) || p.inEnvironment(variable)) {
			continue
		}
		differ("sourced "+name, p.shorten(valueOf(p.upstream.surface, name)), p.shorten(valueOf(p.ours.surface, name)))
	}
	return all
}

// bashsOwn tells whether the variable has another value in every shell.
func bashsOwn(name string) bool {
	switch name {
	case "BASHPID", "EPOCHREALTIME", "EPOCHSECONDS", "PPID", "RANDOM", "SECONDS", "SRANDOM", "_TIME_BEGIN":
		return true // the last one is DevStack's: when its functions were sourced
	default:
		return false
	}
}

// inEnvironment tells whether a script has the variable before it sources anything.
func (p pair) inEnvironment(name string) bool {
	return slices.ContainsFunc(slices.Concat(p.upstream.calls, p.ours.calls), func(c call) bool {
		_, there := c.environ[name]
		return there
	})
}

// differencesOfCalls compares the scripts' turns, and what each was given.
func (p pair) differencesOfCalls() []difference {
	upstream, ours := inOrder(p.upstream.calls, p.root), inOrder(p.ours.calls, p.root)
	var all []difference
	for _, hunk := range diff(names(upstream, p.root), names(ours, p.root)) {
		all = append(all, difference{about: "scripts", upstream: orAbsent(strings.Join(hunk.left, "\n")), ours: orAbsent(strings.Join(hunk.right, "\n"))})
	}
	turns := map[string]int{}
	for _, theirs := range upstream {
		name := theirs.name(p.root)
		turns[name]++
		mine, found := nth(ours, name, turns[name], p.root)
		if !found {
			continue // the difference of the scripts says so
		}
		mine = p.ownMarks(mine)
		for _, each := range compareCalls(theirs, mine) {
			each.upstream, each.ours = p.shorten(each.upstream), p.shorten(each.ours)
			same := slices.IndexFunc(all, func(d difference) bool {
				return d.about == each.about && d.upstream == each.upstream && d.ours == each.ours
			})
			if same < 0 {
				same = len(all)
				all = append(all, each)
			}
			all[same].where = append(all[same].where, name)
		}
	}
	return all
}

// nth finds the so-many-th call of a name: one directory may have two projects.
func nth(calls []call, name string, turn int, root string) (call, bool) {
	for _, each := range calls {
		if each.name(root) == name {
			if turn--; turn == 0 {
				return each, true
			}
		}
	}
	return call{}, false
}

// ownMarks puts words in the place of what in ours is right for this script and this
// comparison, and no other: its project, and the branches.
func (p pair) ownMarks(c call) call {
	own := maps.Clone(c.environ)
	for name, is := range map[string]struct{ value, word string }{
		"BASE_DEVSTACK_BRANCH": {p.base, "BASE BRANCH"}, "TARGET_DEVSTACK_BRANCH": {p.target, "TARGET BRANCH"},
	} {
		if own[name] == is.value {
			own[name] = is.word
		}
	}
	for project, dir := range p.ours.pluginDir {
		if !strings.HasPrefix(c.argv[0], dir+"/") || own["GRENADE_PROJECT"] != project {
			continue
		}
		own["GRENADE_PROJECT"] = "PROJECT"
		if phase, found := strings.CutSuffix(own["GRENADE_SCRIPT"], "/"+project); found {
			own["GRENADE_SCRIPT"] = filepath.Dir(phase) + "/PHASE/PROJECT"
		}
	}
	c.environ = own
	return c
}

// compareCalls compares one script's call on both sides.
func compareCalls(upstream, ours call) []difference {
	var all []difference
	differ := func(about, upstream, ours string) {
		if upstream != ours {
			all = append(all, difference{about: about, upstream: upstream, ours: ours})
		}
	}
	differ("directory", upstream.dir, ours.dir)
	differ("umask", upstream.umask, ours.umask)
	differ("open files", upstream.open, ours.open)
	for _, name := range keysOfBoth(upstream.environ, ours.environ) {
		if name == "_" { // bash's own, for every command it starts
			continue
		}
		differ("environment "+name, valueOf(upstream.environ, name), valueOf(ours.environ, name))
	}
	return all
}

// inOrder puts the calls of each phase that only looks into the order of its
// projects' names: ours run side by side there, and by design have no order.
func inOrder(calls []call, root string) []call {
	ordered := slices.Clone(calls)
	for from := 0; from < len(ordered); {
		to := from + 1
		for to < len(ordered) && looks(ordered[from]) && slices.Equal(ordered[to].argv[1:], ordered[from].argv[1:]) && looks(ordered[to]) {
			to++
		}
		slices.SortStableFunc(ordered[from:to], func(a, b call) int { return strings.Compare(a.name(root), b.name(root)) })
		from = to
	}
	return ordered
}

// looks tells whether the call is of a phase that changes nothing.
func looks(c call) bool {
	return strings.HasSuffix(c.argv[0], "/resources.sh") && len(c.argv) > 1 && strings.HasPrefix(c.argv[1], "verify")
}

func names(calls []call, root string) []string {
	all := make([]string, len(calls))
	for i, each := range calls {
		all[i] = each.name(root)
	}
	return all
}

// shorten leaves out what differs from run to run: the place of the comparison.
func (p pair) shorten(text string) string {
	text = strings.ReplaceAll(text, p.root, "ROOT")
	return strings.ReplaceAll(text, strings.TrimSuffix(p.root, "/stack"), "SITE")
}

func orAbsent(text string) string {
	if text == "" {
		return absent
	}
	return text
}

func valueOf(values map[string]string, name string) string {
	value, there := values[name]
	if !there {
		return absent
	}
	return value
}

func keysOfBoth(a, b map[string]string) []string {
	var keys []string
	for _, values := range []map[string]string{a, b} {
		for key := range values {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.SplitAfter(text, "\n")
}

// hunk is a place where two lists differ.
type hunk struct{ left, right []string }

// diff finds the places where two lists differ, by their longest common part.
func diff(left, right []string) []hunk {
	longest := make([][]int, len(left)+1)
	for i := range longest {
		longest[i] = make([]int, len(right)+1)
	}
	for i := len(left) - 1; i >= 0; i-- {
		for j := len(right) - 1; j >= 0; j-- {
			if left[i] == right[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	var all []hunk
	var now hunk
	end := func() {
		if len(now.left)+len(now.right) > 0 {
			all = append(all, now)
		}
		now = hunk{}
	}
	i, j := 0, 0
	for i < len(left) || j < len(right) {
		switch {
		case i < len(left) && j < len(right) && left[i] == right[j]:
			end()
			i, j = i+1, j+1
		case j == len(right) || i < len(left) && longest[i+1][j] >= longest[i][j+1]:
			now.left = append(now.left, left[i])
			i++
		default:
			now.right = append(now.right, right[j])
			j++
		}
	}
	end()
	return all
}
