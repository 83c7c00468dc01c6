// Package checkout is the room of git checkouts: it makes them, brings them up to
// date, and says which commit they hold.
//
// A checkout that is there is somebody's work. It is left as it is unless the
// caller asks for it anew, or for something else than it was made for; and what
// would lose a change or a commit is refused.
package checkout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"grenade/framework/exec"
)

// ErrRefused means that it is not the repository's or the network's fault: it is
// the caller who must decide.
var ErrRefused = errors.New("refused")

// ErrNoRef means that the repository answers, and has nothing of the name that is
// asked for.
var ErrNoRef = errors.New("no such branch or tag")

// refusal is a sentence that is ErrRefused.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// Is makes every refusal ErrRefused (errors.Is).
func (r *refusal) Is(target error) bool { return target == ErrRefused }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// Source says what a checkout holds.
type Source struct {
	// URL is a repository as git knows them: a URL, or an absolute path.
	URL string
	// Ref is a branch, a tag, a full ref (refs/changes/12/34512/3) or a commit.
	Ref string
	// Dir is where the checkout is, or is made.
	Dir string
}

// Git is how checkouts are made.
type Git struct {
	// Offline: nothing is fetched.
	Offline bool
	// Anew: what is there is fetched again.
	Anew bool
	// Never: a missing checkout is an error, as in CI, where somebody else makes
	// them.
	Never bool
	// Timeout is the limit of one call of git; 0 leaves it to the context.
	Timeout time.Duration
	// Log is the file that git's output is appended to; "" is none.
	Log string
	// Progress is told what is being fetched; nil is nobody.
	Progress func(string)
}

// State is what a checkout holds.
type State struct {
	Dir string
	// Commit is the whole hash; empty when the directory is no git checkout.
	Commit string
	// Subject is the first line of the commit's message.
	Subject string
	// Changed: files that git knows differ from the commit.
	Changed bool
	// Ours: this package has made the checkout.
	Ours bool
}

// How a checkout of ours remembers what it was made for and what was in it.
const (
	madeURL    = "grenade.url"
	madeRef    = "grenade.ref"
	madeCommit = "grenade.commit"
)

// Ensure makes the checkout, or brings it up to date, and says what it holds. A
// clone that was interrupted leaves nothing that looks like a checkout.
func (g Git) Ensure(ctx context.Context, source Source) (State, error) {
	_, err := os.Stat(source.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = g.clone(ctx, source)
	case err == nil:
		err = g.update(ctx, source)
	}
	if err != nil {
		return State{}, fmt.Errorf("checkout of %s at %s in %s: %w", Public(source.URL), source.Ref, source.Dir, err)
	}
	return g.Look(ctx, source.Dir)
}

// Look says what is in a directory. One that is no git checkout of its own, such
// as an unpacked archive, has no commit and is no error.
func (g Git) Look(ctx context.Context, dir string) (State, error) {
	state := State{Dir: dir}
	if !isCheckout(dir) {
		return state, nil
	}
	shown, err := g.output(ctx, dir, "log", "-1", "--format=%H %s")
	if err != nil {
		return state, fmt.Errorf("commit of %s: %w", dir, err)
	}
	state.Commit, state.Subject, _ = strings.Cut(shown, " ")
	changes, err := g.output(ctx, dir, "status", "--porcelain", "--untracked-files=no")
	if err != nil {
		return state, fmt.Errorf("state of %s: %w", dir, err)
	}
	state.Changed = changes != ""
	state.Ours = g.made(ctx, dir, madeURL) != ""
	return state, nil
}

// Has tells whether the checkout knows a ref.
func (g Git) Has(ctx context.Context, dir, ref string) bool {
	_, err := g.output(ctx, dir, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	return err == nil
}

// isCheckout tells whether the directory itself is one, and not just below one.
func isCheckout(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, ".git"))
	return err == nil
}

func (g Git) clone(ctx context.Context, source Source) error {
	switch {
	case g.Offline:
		return refuse("it is not there, and OFFLINE forbids to fetch it")
	case g.Never:
		return refuse("it is not there, and ERROR_ON_CLONE forbids to clone it")
	}
	g.tell("clone of " + Public(source.URL))
	part := source.Dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return fmt.Errorf("remove what an interrupted clone left: %w", err)
	}
	// Where plugins run it is entered by another user.
	if err := os.MkdirAll(filepath.Dir(source.Dir), 0o755); err != nil {
		return fmt.Errorf("directory of checkouts: %w", err)
	}
	if _, err := g.output(ctx, "", "clone", "--quiet", "--no-checkout", "--", source.URL, part); err != nil {
		return errors.Join(err, os.RemoveAll(part))
	}
	if err := g.checkOut(ctx, source, part); err != nil {
		return errors.Join(err, os.RemoveAll(part))
	}
	if err := os.Rename(part, source.Dir); err != nil {
		return fmt.Errorf("put the clone in its place: %w", err)
	}
	return nil
}

// update fetches what is asked for into a checkout that is there, if that is
// wanted and nothing is lost by it.
func (g Git) update(ctx context.Context, source Source) error {
	if !isCheckout(source.Dir) {
		return nil // somebody put files there
	}
	made := g.made(ctx, source.Dir, madeURL) + " " + g.made(ctx, source.Dir, madeRef)
	other := made != " " && made != source.URL+" "+source.Ref
	switch {
	case g.Offline && other:
		return refuse("it is of %s, and OFFLINE forbids to fetch another", Public(made))
	case g.Offline || !g.Anew && !other:
		return nil
	}
	if err := g.nothingToLose(ctx, source.Dir); err != nil {
		return err
	}
	g.tell("fetch of " + Public(source.URL))
	return g.checkOut(ctx, source, source.Dir)
}

// nothingToLose refuses a checkout with changes, or whose commit nobody could
// find again.
func (g Git) nothingToLose(ctx context.Context, dir string) error {
	changes, err := g.output(ctx, dir, "status", "--porcelain", "--untracked-files=no")
	if err != nil {
		return err
	}
	if changes != "" {
		first, _, _ := strings.Cut(changes, "\n")
		return refuse("it has changes (%s …), which would be lost: commit them, or move the directory away", strings.TrimSpace(first))
	}
	head, err := g.output(ctx, dir, "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	if head == g.made(ctx, dir, madeCommit) {
		return nil
	}
	holders, err := g.output(ctx, dir, "for-each-ref", "--count=1", "--contains", head)
	if err != nil {
		return err
	}
	if holders == "" {
		return refuse("its commit %.12s is on no branch and would be lost: make a branch of it, or move the directory away", head)
	}
	return nil
}

// checkOut fetches the ref into the repository in dir and checks it out, not as a
// branch, as DevStack does: so branches, tags, changes under review and commits
// are all the same.
func (g Git) checkOut(ctx context.Context, source Source, dir string) error {
	commit := source.Ref
	if !isHash(source.Ref) || !g.Has(ctx, dir, source.Ref) {
		if _, err := g.output(ctx, dir, "fetch", "--quiet", "--no-recurse-submodules", "--", source.URL, source.Ref); err != nil {
			return errors.Join(err, g.whatThereIs(ctx, source, err))
		}
		commit = "FETCH_HEAD"
	}
	if _, err := g.output(ctx, dir, "checkout", "--quiet", "--detach", commit, "--"); err != nil {
		return err
	}
	head, err := g.output(ctx, dir, "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	for _, made := range [][2]string{{madeURL, source.URL}, {madeRef, source.Ref}, {madeCommit, head}} {
		if _, err := g.output(ctx, dir, "config", "--local", made[0], made[1]); err != nil {
			return err
		}
	}
	return nil
}

// isHash tells whether a ref is a whole commit's name.
func isHash(ref string) bool {
	return (len(ref) == 40 || len(ref) == 64) && strings.Trim(ref, "0123456789abcdef") == ""
}

// whatThereIs lists what the repository calls similarly, when it has no such
// branch: stable/zed may be unmaintained/zed by now.
func (g Git) whatThereIs(ctx context.Context, source Source, failure error) error {
	var failed *exec.Error
	if !errors.As(failure, &failed) || !strings.Contains(strings.Join(failed.Tail, "\n"), "find remote ref") {
		return nil
	}
	word := source.Ref[strings.LastIndexByte(source.Ref, '/')+1:]
	listed, err := g.output(ctx, "", "ls-remote", "--quiet", "--heads", "--tags", "--refs", "--", source.URL)
	if err != nil {
		return nil //nolint:nilerr // the failure is told; this was only to explain it
	}
	var similar []string
	for line := range strings.Lines(listed) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		name = strings.TrimPrefix(strings.TrimPrefix(name, "refs/heads/"), "refs/tags/")
		if strings.Contains(name, word) && len(similar) < 5 {
			similar = append(similar, name)
		}
	}
	if len(similar) == 0 {
		return fmt.Errorf("%w: the repository has no branch or tag like %s", ErrNoRef, word)
	}
	return fmt.Errorf("%w: the repository has: %s", ErrNoRef, strings.Join(similar, ", "))
}

// made returns one of the things that a checkout of ours remembers.
func (g Git) made(ctx context.Context, dir, what string) string {
	value, err := g.output(ctx, dir, "config", "--local", "--get", what)
	if err != nil {
		return ""
	}
	return value
}

func (g Git) tell(what string) {
	if g.Progress != nil {
		g.Progress(what)
	}
}

// output runs git and returns what it printed, without blanks around it.
func (g Git) output(ctx context.Context, dir string, args ...string) (string, error) {
	home, err := os.MkdirTemp("", "grenade-git-")
	if err != nil {
		return "", fmt.Errorf("git: %w", err)
	}
	defer func() { _ = os.RemoveAll(home) }() // a leftover in TMPDIR is no reason to fail
	global := filepath.Join(home, "config")
	if err := os.WriteFile(global, []byte(globalConfig(os.Getenv)), 0o600); err != nil {
		return "", fmt.Errorf("git: %w", err)
	}
	command := []string{"git",
		// A plugin's scripts write into its checkout; what they leave there is not
		// to run here.
		"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never",
		// Nothing stays behind in the background.
		"-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "advice.detachedHead=false",
	}
	if dir != "" {
		command = append(command, "-C", dir)
	}
	out, err := exec.Output(ctx, exec.Command{
		Args: append(command, args...), Env: environ(os.Environ(), global), Log: g.Log, Timeout: g.Timeout,
	})
	var failed *exec.Error
	if errors.As(err, &failed) {
		// The command line would repeat the URL, and what is set for every call.
		failed.Args = []string{"git", args[0]}
	}
	return strings.TrimSpace(string(out)), err
}

// globalConfig is the caller's own configuration, and that it does not matter who
// owns a checkout: stack in the node, the person whose directory it is. What is
// given on git's command line does not reach the git that serves a local clone.
func globalConfig(getenv func(string) string) string {
	var text strings.Builder
	include := func(path string) { fmt.Fprintf(&text, "[include]\n\tpath = %q\n", path) }
	home, xdg := getenv("HOME"), getenv("XDG_CONFIG_HOME")
	if xdg == "" {
		xdg = filepath.Join(home, ".config")
	}
	if own := getenv("GIT_CONFIG_GLOBAL"); own != "" {
		include(own)
	} else if home != "" {
		include(filepath.Join(xdg, "git", "config"))
		include(filepath.Join(home, ".gitconfig"))
	}
	text.WriteString("[safe]\n\tdirectory = *\n")
	return text.String()
}

// environ is the caller's environment without what would send git elsewhere, or
// have it ask somebody.
func environ(inherited []string, global string) []string {
	env := []string{"GIT_CONFIG_GLOBAL=" + global, "GIT_TERMINAL_PROMPT=0", "LC_ALL=C.UTF-8"}
	ssh := "GIT_SSH_COMMAND=ssh -o BatchMode=yes"
	for _, entry := range inherited {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR",
			"GIT_CONFIG_GLOBAL", "GIT_TERMINAL_PROMPT", "GIT_ASKPASS", "SSH_ASKPASS", "LC_ALL", "LANGUAGE":
		case "GIT_SSH_COMMAND":
			ssh = entry
		default:
			env = append(env, entry)
		}
	}
	return append(env, ssh)
}

// Public is a URL, or a text that begins with one, without its user and password.
func Public(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	host, path, _ := strings.Cut(rest, "/")
	at := strings.LastIndexByte(host, '@')
	if at < 0 {
		return url
	}
	return scheme + "://" + strings.TrimSuffix(host[at+1:]+"/"+path, "/")
}
