package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/plugins"
)

// shell holds what stands in the place of scripts, and of programs that would work
// on a machine.
//
//go:embed shell
var shell embed.FS

// site is a working directory with a STACK_ROOT in it. The two sides run in the same
// place, one after the other, so that their paths are the same.
type site struct {
	dir, root string
	// who runs everything: nobody where we are root, for it is strangers' shell.
	who *user.User
	// upstream is the laid copy of upstream's Grenade, below dir.
	upstream string
	plugins  []laid
	given    []laid
	options  options
}

// laid is a plugin's checkout in the site.
type laid struct {
	name, from, dir, commit, date string
}

// path is the PATH of everything that runs: the programs of shell/ first.
func (s *site) path() string {
	return filepath.Join(s.dir, "bin") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

func (s *site) grenadeDir() string { return filepath.Join(s.root, "save/grenade") }
func (s *site) tree(side string) string {
	return filepath.Join(s.root, side, "devstack")
}

// The names of the releases' directories below STACK_ROOT.
const (
	baseDir   = "old"
	targetDir = "new"
)

// newSite makes the directory, with everything that both sides get.
func newSite(ctx context.Context, o options, set []string) (*site, error) {
	dir, err := os.MkdirTemp("", "grenade-compare-")
	if err != nil {
		return nil, fmt.Errorf("working directory: %w", err)
	}
	s := &site{dir: dir, root: filepath.Join(dir, "stack"), upstream: filepath.Join(dir, "grenade"), options: o}
	if err := s.lay(ctx, set); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

func (s *site) remove() error {
	if s.options.keep {
		return nil
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	return nil
}

func (s *site) lay(ctx context.Context, set []string) (err error) {
	if s.who, err = user.Current(); err == nil && os.Geteuid() == 0 {
		s.who, err = user.Lookup("nobody")
	}
	if err != nil {
		return fmt.Errorf("who runs the scripts: %w", err)
	}
	// Others may pass, and see nothing.
	if err := os.Chmod(s.dir, 0o711); err != nil {
		return fmt.Errorf("working directory: %w", err)
	}
	for _, name := range []string{"bin", "config", "results", "records"} {
		if err := os.MkdirAll(filepath.Join(s.dir, name), 0o755); err != nil {
			return fmt.Errorf("working directory: %w", err)
		}
	}
	programs := []string{"sudo", "lsb_release"}
	if s.options.tools != "" {
		programs = append(programs, "dsconf")
	}
	for _, name := range programs {
		if err := s.write(name, filepath.Join(s.dir, "bin", name)); err != nil {
			return err
		}
	}
	// Strangers' shell must not signal or change what runs on this machine.
	for _, name := range []string{"killall", "pkill", "systemctl", "iptables", "ovs-vsctl", "apt-get"} {
		if err := s.write("nothing.sh", filepath.Join(s.dir, "bin", name)); err != nil {
			return err
		}
	}
	for _, from := range []struct{ checkout, dir string }{
		{s.options.grenade, s.upstream}, {s.options.tools, filepath.Join(s.dir, "tools")},
		{s.options.devstack, s.tree(baseDir)}, {s.options.devstack, s.tree(targetDir)},
	} {
		if from.checkout == "" {
			continue
		}
		given, err := s.clone(ctx, from.checkout, from.dir)
		if err != nil {
			return err
		}
		if from.dir != s.tree(targetDir) { // the same as the base tree's
			s.given = append(s.given, given)
		}
	}
	for _, from := range set {
		plugin, err := s.clone(ctx, from, filepath.Join(s.root, "plugins", filepath.Base(from)))
		if err != nil {
			return err
		}
		for _, side := range []string{baseDir, targetDir} {
			// Where DevStack clones every project.
			if err := os.Symlink(plugin.dir, filepath.Join(s.root, side, plugin.name)); err != nil {
				return fmt.Errorf("plugin %s: %w", plugin.name, err)
			}
		}
		if err := s.stub(filepath.Join(plugin.dir, "devstack/upgrade")); err != nil {
			return fmt.Errorf("plugin %s: %w", plugin.name, err)
		}
		s.plugins = append(s.plugins, plugin)
	}
	if err := s.layUpstream(); err != nil {
		return fmt.Errorf("upstream's Grenade: %w", err)
	}
	// DevStack's programs that work on the machine.
	for _, name := range []string{baseDir + "/devstack/stack.sh", baseDir + "/devstack/tools/worlddump.py", targetDir + "/devstack/tools/worlddump.py"} {
		path := filepath.Join(s.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("tree: %w", err)
		}
		if err := s.write("nothing.sh", path); err != nil {
			return err
		}
	}
	return s.give(s.dir)
}

// layUpstream puts stubs in the place of upstream's projects' scripts, and of its
// programs that work on a cloud.
func (s *site) layUpstream() error {
	projects, err := filepath.Glob(filepath.Join(s.upstream, "projects", "*"))
	if err != nil {
		return fmt.Errorf("projects: %w", err)
	}
	for _, dir := range projects {
		if err := s.stub(dir); err != nil {
			return err
		}
	}
	if len(projects) > 0 {
		if err := s.lookAtSurface(filepath.Join(projects[0], "upgrade.sh")); err != nil {
			return err
		}
	}
	for _, name := range []string{"save-state", "prep-target", "upgrade-tempest"} {
		if err := s.write("nothing.sh", filepath.Join(s.upstream, name)); err != nil {
			return err
		}
	}
	return nil
}

// lookAtSurface has one script write down what it has after sourcing grenaderc and
// functions.
func (s *site) lookAtSurface(script string) error {
	stub, err := os.ReadFile(script)
	if err != nil {
		return fmt.Errorf("script: %w", err)
	}
	more, err := s.text("surface.sh")
	if err != nil {
		return err
	}
	return overwrite(script, string(stub)+more, 0o755)
}

// clone copies the commit of a checkout.
func (s *site) clone(ctx context.Context, from, to string) (laid, error) {
	made := laid{name: filepath.Base(from), from: from, dir: to}
	// A file, because the git that reads the checkout is told of no other setting: it
	// may be somebody else's.
	settings := filepath.Join(s.dir, "gitconfig")
	if err := overwrite(settings, "[safe]\n\tdirectory = *\n", 0o644); err != nil {
		return made, err
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "GIT_CONFIG_GLOBAL=" + settings}
	_, err := exec.Run(ctx, exec.Command{Args: []string{"git", "clone", "--quiet", "--depth=1", "file://" + from, to}, Env: env})
	if err != nil {
		return made, fmt.Errorf("copy the checkout %s: %w", from, err)
	}
	said, err := exec.Output(ctx, exec.Command{Args: []string{"git", "-C", to, "log", "-1", "--format=%h %cs", "--abbrev=10"}, Env: env})
	if err != nil {
		return made, fmt.Errorf("commit of %s: %w", from, err)
	}
	made.commit, made.date, _ = strings.Cut(strings.TrimSpace(string(said)), " ")
	return made, nil
}

// write writes a program of shell/, with the places of this site in it.
func (s *site) write(name, path string) error {
	text, err := s.text(name)
	if err != nil {
		return err
	}
	return overwrite(path, text, 0o755)
}

// overwrite replaces a file, also where a link stood.
func overwrite(path, text string, mode fs.FileMode) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func (s *site) text(name string, more ...string) (string, error) {
	content, err := shell.ReadFile("shell/" + name)
	if err != nil {
		return "", fmt.Errorf("embedded %s: %w", name, err)
	}
	places := append([]string{
		"@RECORDS@", filepath.Join(s.dir, "records"), "@OBSERVED@", filepath.Join(s.dir, "records/observed"),
		"@TOOLS@", filepath.Join(s.dir, "tools"), "@SURFACE@", filepath.Join(s.dir, "records/surface"),
	}, more...)
	return strings.NewReplacer(places...).Replace(string(content)), nil
}

// stub puts recording stubs in the place of a plugin's scripts. One that is not there
// stays so, and one without a command stays as it is: there is nothing to record. A
// stub keeps the first line and the mode of what it stands for.
func (s *site) stub(dir string) error {
	steps, err := filepath.Glob(filepath.Join(dir, "*-*", "upgrade-*"))
	if err != nil {
		return fmt.Errorf("steps: %w", err)
	}
	var projects []string
	for _, step := range steps {
		project := strings.TrimPrefix(filepath.Base(step), "upgrade-")
		text, err := s.text("step.sh", "@PROJECT@", project)
		if err != nil {
			return err
		}
		if err := overwrite(step, text, 0o644); err != nil {
			return err
		}
		if !slices.Contains(projects, project) {
			projects = append(projects, project)
		}
	}
	for _, name := range []string{"resources.sh", "shutdown.sh", "upgrade.sh"} {
		path := filepath.Join(dir, name)
		state, err := plugins.StateOf(path)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if state != plugins.Present {
			continue
		}
		text, err := s.text("record.sh")
		if err != nil {
			return err
		}
		if name == "upgrade.sh" && len(projects) > 0 {
			more, err := s.text("steps.sh", "@PROJECTS@", strings.Join(projects, " "))
			if err != nil {
				return err
			}
			text += more
		}
		if err := replace(path, text); err != nil {
			return err
		}
	}
	return nil
}

// replace puts another text below a script's first line, if that names who reads it.
func replace(path, text string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("script: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("script: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	if strings.HasPrefix(first, "#!") {
		text = first + "\n" + text
	}
	return overwrite(path, text, info.Mode().Perm())
}

// give gives a directory to who runs the scripts. Links are not followed.
func (s *site) give(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, err := strconv.Atoi(s.who.Uid)
	if err != nil {
		return fmt.Errorf("user id of %s: %w", s.who.Username, err)
	}
	gid, err := strconv.Atoi(s.who.Gid)
	if err != nil {
		return fmt.Errorf("group id of %s: %w", s.who.Username, err)
	}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
	if err != nil {
		return fmt.Errorf("give %s to %s: %w", dir, s.who.Username, err)
	}
	return nil
}

// copyAside keeps the STACK_ROOT as it was laid, for the other side.
func (s *site) copyAside(ctx context.Context) error {
	return s.shellCommand(ctx, "cp", "-a", s.root, s.root+".laid")
}

// layAnew gives the other side the STACK_ROOT as it was laid, and room for its records.
func (s *site) layAnew() error {
	records := filepath.Join(s.dir, "records")
	err := errors.Join(os.Rename(s.root, s.root+".upstream"), os.Rename(s.root+".laid", s.root),
		os.Rename(records, records+".upstream"), os.Mkdir(records, 0o755))
	if err != nil {
		return fmt.Errorf("lay the site anew: %w", err)
	}
	return s.give(records)
}

func (s *site) shellCommand(ctx context.Context, args ...string) error {
	_, err := exec.Run(ctx, exec.Command{Args: args})
	return err
}

// scratchNode is this machine as the node of the comparison: whoever a command is
// for, it runs as the one user that the site has, with the site's programs first.
type scratchNode struct {
	node.Node
	site *site
}

func newNode(s *site) *scratchNode {
	return &scratchNode{Node: node.NewLocal("", ""), site: s}
}

// Run runs a command on this machine.
func (n *scratchNode) Run(ctx context.Context, c node.Command) (exec.Result, error) {
	return n.Node.Run(ctx, n.as(c))
}

// Output runs a command on this machine and returns its stdout.
func (n *scratchNode) Output(ctx context.Context, c node.Command) ([]byte, error) {
	return n.Node.Output(ctx, n.as(c))
}

func (n *scratchNode) as(c node.Command) node.Command {
	c.User = n.site.who.Username
	env := []string{"PATH=" + n.site.path()}
	for _, entry := range c.Env {
		if !strings.HasPrefix(entry, "PATH=") {
			env = append(env, entry)
		}
	}
	c.Env = env
	return c
}
