package config

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"grenade/framework/exec"
)

//go:embed pluginrc.sh
var pluginrcScript string

// pluginrcName stands for GRENADE_PLUGINRC where a file is named.
const pluginrcName = "GRENADE_PLUGINRC"

// EnabledPlugin is one plugin of another repository: a line
// "enable_grenade_plugin <name> <url> [branch]".
type EnabledPlugin struct {
	Name string
	// URL is of a known scheme, or an absolute path.
	URL string
	// Branch is a branch, a tag, a ref or a commit; empty only when InPlace.
	Branch string
	// Dir is where its checkout is: PLUGIN_DIR/<name>, or the URL when InPlace.
	Dir string
	// InPlace: the URL is a directory of this machine, used as it is with all that
	// has not been committed.
	InPlace bool
	// File and Line are where it is enabled.
	File string
	Line int
}

// Place is where the plugin is enabled, as file:line.
func (p EnabledPlugin) Place() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// UpgradeDir is where its settings and scripts are.
func (p EnabledPlugin) UpgradeDir() string { return filepath.Join(p.Dir, "devstack", "upgrade") }

// readPluginrc evaluates pluginrc and GRENADE_PLUGINRC, and fills c.Plugins and
// c.pluginrcSets. The first result are mistakes in them, the second is set when
// bash could not be run at all.
func (c *Config) readPluginrc(ctx context.Context, src Sources) ([]error, error) {
	if c.Pluginrc.Text == "" && c.PluginrcText == "" {
		return nil, nil
	}
	for _, file := range []File{c.Pluginrc, {Path: pluginrcName, Text: c.PluginrcText}} {
		if at := strings.Index(file.Text, "\r\n"); at >= 0 {
			return []error{&Mistake{File: file.Path, Line: 1 + strings.Count(file.Text[:at], "\n"),
				Message: "the line ends in CR LF: save the file with Unix line ends"}}, nil
		}
	}
	dir, err := os.MkdirTemp("", "grenade-pluginrc-")
	if err != nil {
		return nil, fmt.Errorf("evaluating pluginrc: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a leftover in TMPDIR is no reason to fail
	text := filepath.Join(dir, pluginrcName)
	for path, content := range map[string]string{
		filepath.Join(dir, "preamble"): c.pluginrcPreamble(), filepath.Join(dir, "pluginrc.sh"): pluginrcScript, text: c.PluginrcText,
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return nil, fmt.Errorf("evaluating pluginrc: %w", err)
		}
	}
	args := []string{filepath.Join(dir, "pluginrc.sh"), filepath.Join(dir, "preamble"), dir}
	where := dir
	if c.Pluginrc.Path != "" {
		path, err := filepath.Abs(c.Pluginrc.Path)
		if err != nil {
			return nil, fmt.Errorf("evaluating pluginrc: %w", err)
		}
		args, where = append(args, path), filepath.Dir(path)
	}
	result, err := runBash(ctx, exec.Command{Env: cleanEnviron(src.Environ), Dir: where, Timeout: localrcLimit}, append(args, text)...)
	if err != nil {
		return nil, fmt.Errorf("evaluating pluginrc: %w", err)
	}
	return c.judgePluginrc(dir, result), nil
}

// pluginrcPreamble is what upstream's pluginrc sees of grenaderc: the settings
// that are in force, and what is made of them.
func (c *Config) pluginrcPreamble() string {
	var text strings.Builder
	for _, name := range sortedKeys(c.Extra) {
		fmt.Fprintf(&text, "%s=%s\n", name, quote(c.Extra[name]))
	}
	for _, v := range c.values {
		fmt.Fprintf(&text, "%s=%s\n", v.Name, quote(v.Value))
	}
	for _, name := range []struct{ name, value string }{
		{"BASE_DEVSTACK_BRANCH", c.Base.Branch}, {"TARGET_DEVSTACK_BRANCH", c.Target.Branch},
		{"BASE_RELEASE_DIR", filepath.Join(c.StackRoot, "old")}, {"TARGET_RELEASE_DIR", filepath.Join(c.StackRoot, "new")},
		{"BASE_DEVSTACK_DIR", filepath.Join(c.StackRoot, "old", "devstack")}, {"TARGET_DEVSTACK_DIR", filepath.Join(c.StackRoot, "new", "devstack")},
		{"DATA_DIR", filepath.Join(c.StackRoot, "data")},
	} {
		fmt.Fprintf(&text, "%s=%s\n", name.name, quote(name.value))
	}
	return text.String()
}

// judgePluginrc turns what the script wrote down into plugins and mistakes.
func (c *Config) judgePluginrc(dir string, result bashResult) []error {
	written := func(name string, fields int) [][]string {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil // it came to nothing of the kind
		}
		all := strings.Split(string(content), "\x00")
		var records [][]string
		for ; len(all) > fields; all = all[fields:] {
			records = append(records, all[:fields])
		}
		return records
	}
	place := func(record []string) (file string, line int) {
		line, _ = strconv.Atoi(record[1]) // bash's own
		if filepath.Dir(record[0]) == dir {
			return filepath.Base(record[0]), line
		}
		return record[0], line
	}
	var wrong []error
	for _, record := range written("failed", 3) {
		file, line := place(record)
		wrong = append(wrong, &Mistake{File: file, Line: line, Message: record[2]})
	}
	for _, record := range written("plugins", 5) {
		plugin := EnabledPlugin{Name: record[2], URL: record[3], Branch: record[4]}
		plugin.File, plugin.Line = place(record)
		wrong = append(wrong, c.enable(plugin)...)
	}
	if _, err := os.Stat(filepath.Join(dir, "done")); err != nil && len(wrong) == 0 {
		file := c.Pluginrc.Path
		if file == "" {
			file = pluginrcName
		}
		message := fmt.Sprintf("ends the shell (exit %d) instead of only enabling plugins", result.exit)
		if result.timedOut {
			message = fmt.Sprintf("did not finish within %s: it should only enable plugins", localrcLimit)
		}
		wrong = append(wrong, &Mistake{File: file, Message: message})
	}
	for _, line := range result.said {
		c.Warnings = append(c.Warnings, "pluginrc said: "+strings.ReplaceAll(line, dir+"/", ""))
	}
	before := map[string][]string{}
	for _, record := range written("before", 3) {
		before[record[1]] = record
	}
	for _, record := range written("after", 3) {
		flag, name, value := record[0], record[1], record[2]
		old, existed := before[name]
		if bashOwn(name) || existed && old[0] == flag && old[2] == value {
			continue
		}
		line := name + "=" + quote(value) + "\n"
		if flag == "x" {
			line = "export " + line
		}
		c.pluginrcSets += line
	}
	return wrong
}

// enable adds a plugin, or says what is wrong with its line.
func (c *Config) enable(plugin EnabledPlugin) []error {
	var wrong []error
	mistake := func(format string, args ...any) {
		wrong = append(wrong, &Mistake{File: plugin.File, Line: plugin.Line, Message: fmt.Sprintf(format, args...)})
	}
	if !pluginName.MatchString(plugin.Name) {
		mistake("a plugin cannot be called %q: its name is a directory's: letters, digits and . _ + -, the first of them a letter or a digit", plugin.Name)
	}
	if slices.Contains([]string{"devstack", "root", "logs", "status", "images"}, plugin.Name) {
		mistake("a plugin cannot be called %q: $TARGET_RELEASE_DIR/%s is the tree's", plugin.Name, plugin.Name)
	}
	if err := checkGitURL(plugin.URL); err != nil {
		mistake("URL of %s: %v", plugin.Name, err)
	}
	plugin.InPlace = filepath.IsAbs(plugin.URL) && plugin.Branch == ""
	if plugin.Branch == "" && !plugin.InPlace {
		plugin.Branch = c.Target.Branch
	}
	if plugin.Branch != "" {
		if err := checkGitRef(plugin.Branch); err != nil {
			mistake("branch of %s: %v", plugin.Name, err)
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	plugin.Dir = filepath.Join(c.PluginDir, plugin.Name)
	if plugin.InPlace {
		plugin.Dir = filepath.Clean(plugin.URL)
		if err := c.checkInPlace(plugin.Dir); err != nil {
			mistake("directory of %s: %v", plugin.Name, err)
		}
	}
	for _, other := range c.Plugins {
		if other.Name != plugin.Name {
			continue
		}
		if other.URL != plugin.URL || other.Branch != plugin.Branch {
			mistake("%s is enabled at %s already, from elsewhere", plugin.Name, other.Place())
		}
		return wrong // once is enough
	}
	c.Plugins = append(c.Plugins, plugin)
	return wrong
}

// pluginName is what can be a directory, an index of a bash array and a word of
// GRENADE_PLUGINS, which commas separate.
var pluginName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)

// checkGitURL accepts what names a repository and cannot be anything else: git
// itself takes "ext::sh -c …" for a program to run.
func checkGitURL(text string) error {
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("it holds a blank or a control character")
	}
	if filepath.IsAbs(text) {
		return nil
	}
	parsed, err := url.Parse(text)
	if err != nil {
		return errors.New("it cannot be read") // the error would repeat it, and it may hold a password
	}
	switch parsed.Scheme {
	case "https", "http", "ssh", "git":
		if parsed.Hostname() == "" || strings.HasPrefix(parsed.Hostname(), "-") {
			return errors.New("it names no host")
		}
	case "file":
		if parsed.Host != "" && parsed.Host != "localhost" || !filepath.IsAbs(parsed.Path) {
			return errors.New("file:// needs an absolute path")
		}
	case "":
		return fmt.Errorf("%q is neither a URL (https, http, ssh, git, file) nor an absolute path; git@host:path is written ssh://git@host/path", withoutUser(text))
	default:
		return fmt.Errorf("the scheme must be https, http, ssh, git or file, or it must be an absolute path, not %q", parsed.Scheme)
	}
	return nil
}

// withoutUser keeps what may be a password out of a message.
func withoutUser(text string) string { return text[strings.LastIndexByte(text, '@')+1:] }

// checkGitRef accepts what git takes for the name of a branch, a tag, a ref or a
// commit (git-check-ref-format(1)), and nothing that could be an option or more
// than one ref.
func checkGitRef(ref string) error {
	wrong := func(why string) error { return fmt.Errorf("%q is no branch, tag, ref or commit: %s", ref, why) }
	switch {
	case ref == "" || ref == "@":
		return wrong("it names nothing")
	case strings.HasPrefix(ref, "-"):
		return wrong("it begins with -")
	case strings.ContainsFunc(ref, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) }):
		return wrong("it holds a blank, a control character or one of ~ ^ : ? * [ \\")
	case strings.Contains(ref, "..") || strings.Contains(ref, "@{") || strings.HasSuffix(ref, "."):
		return wrong("it holds .. or @{ or ends with a dot")
	}
	for _, part := range strings.Split(ref, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return wrong("a part of it is empty, begins with a dot or ends with .lock")
		}
	}
	return nil
}

// checkInPlace accepts a directory that can be shown in the node at its own path
// and be read by the user stack there.
func (c *Config) checkInPlace(dir string) error {
	var same string
	if err := directory(func(*Config) *string { return &same })(nil, dir); err != nil {
		return err
	}
	for _, ours := range []string{"node", "old", "new"} {
		if within(dir, filepath.Join(c.StackRoot, ours)) {
			return fmt.Errorf("%s lies in %s, which each run removes", dir, filepath.Join(c.StackRoot, ours))
		}
	}
	if within(c.StackRoot, dir) || within(c.SaveDir, dir) {
		return fmt.Errorf("%s holds STACK_ROOT or SAVE_DIR and would hide them in the node", dir)
	}
	for _, path := range []string{dir, filepath.Join(dir, "devstack"), filepath.Join(dir, "devstack", "upgrade")} {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, os.ErrNotExist) && path != dir:
			return nil // a repository without upgrade scripts is accepted, as upstream does
		case err != nil:
			return fmt.Errorf("%s cannot be read: %s", path, cause(err))
		case !info.IsDir():
			return fmt.Errorf("%s is no directory", path)
		case info.Mode().Perm()&0o005 != 0o005:
			return fmt.Errorf("others may not enter %s, and user stack of the node is one: chmod -R o+rX %s", path, dir)
		}
	}
	return nil
}

// PluginrcForScripts is the pluginrc that scripts source: what the user's comes
// to, since it may ask the machine on which it is evaluated. It is empty when no
// plugin is enabled.
//
// It leaves what enable_grenade_plugin would, called for each of them, and GITDIR as
// it is here. Each script of each phase sources it, and bash takes its time for each
// character: so there is one assignment for each array, and what values have in
// common, such as a directory, stands there once.
func (c *Config) PluginrcForScripts() string {
	if len(c.Plugins) == 0 {
		return c.pluginrcSets
	}
	var names, arrays strings.Builder
	heads := map[string]string{}
	var assigned, temporary strings.Builder
	// in is the value as it stands in an array, at a plugin's name.
	in := func(name, value string) string {
		head, tail := value, ""
		if before, found := strings.CutSuffix(value, "/"+name); found {
			head, tail = before, "/"+name
		}
		if heads[head] == "" {
			heads[head] = fmt.Sprintf("_RC%d", len(heads))
			fmt.Fprintf(&assigned, "%s=%s\n", heads[head], quote(head))
			fmt.Fprintf(&temporary, " %s", heads[head])
		}
		return "[" + name + "]=$" + heads[head] + tail + "\n"
	}
	for _, p := range c.Plugins {
		fmt.Fprintf(&names, ",%s", p.Name)
	}
	for _, array := range []struct {
		name string
		of   func(EnabledPlugin) string
	}{
		{"GITREPO", func(p EnabledPlugin) string { return p.URL }},
		{"GITDIR", func(p EnabledPlugin) string { return p.Dir }},
		{"GITBRANCH", func(p EnabledPlugin) string { return cmp.Or(p.Branch, c.Target.Branch) }},
	} {
		fmt.Fprintf(&arrays, "%s+=(\n", array.name)
		for _, p := range c.Plugins {
			arrays.WriteString(in(p.Name, array.of(p)))
		}
		arrays.WriteString(")\n")
	}
	return c.pluginrcSets + "declare -gA GITREPO GITDIR GITBRANCH\nGRENADE_PLUGINS+=" + names.String() + "\n" +
		assigned.String() + arrays.String() + "unset -v" + temporary.String() + "\n"
}
