package debstack

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"grenade/framework/exec"
)

//go:embed hooks/customize.sh
var customizeHook string

//go:embed hooks/dashboard.sh
var dashboardHook string

// NodePackages are those that Build's roots need to be booted and worked in, whatever runs there; the services' own are
// declared in the tree. The init system comes as systemd-sysv, scripts need sudo, curl and the process tools.
func NodePackages() []string {
	return []string{
		"ca-certificates", "curl", "dbus", "iproute2", "netbase", "procps", "sudo", "systemd", "systemd-sysv", "udev", "util-linux",
	}
}

// Mmdebstrap builds roots with mmdebstrap(1), as root. It uses mounts and process ids of its own, so nothing that a build
// does can be seen outside, and nothing of it outlives it.
type Mmdebstrap struct {
	// Mirror supplies the proxies.
	Mirror *Mirror
	// Timeout of one build; default 30 minutes.
	Timeout time.Duration
}

const (
	defaultBuildTimeout = 30 * time.Minute
	// buildCookie is in the environment of every process of a build, with the scratch directory as its value.
	buildCookie = "GRENADE_ROOT_BUILD"
)

// Recipe is everything but packages and architecture that decides what a root looks like.
func (b *Mmdebstrap) Recipe() string {
	return strings.Join(append(recipeOptions("minbase"), dashboardHook, customizeHook), "\n")
}

// recipeOptions keep a root small and quick to build. Documentation is left out but for copyright files; unsafe-io
// spares dpkg's syncs: a root that a power cut hit shows by its fingerprint.
func recipeOptions(variant string) []string {
	return []string{
		"--mode=root", "--format=directory", "--variant=" + variant, "--components=main", "--verbose",
		`--aptopt=APT::Install-Recommends "false"`,
		`--aptopt=Acquire::Languages "none"`,
		`--aptopt=Acquire::Retries "3"`,
		"--dpkgopt=path-exclude=/usr/share/man/*",
		"--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-include=/usr/share/doc/*/copyright",
		"--dpkgopt=path-exclude=/usr/share/locale/*",
		"--dpkgopt=force-unsafe-io",
	}
}

// Build installs a root from order.Mirror and makes it ready for any run.
func (b *Mmdebstrap) Build(ctx context.Context, order BuildOrder, progress func(string)) (built Built, err error) {
	built.Digest, err = b.run(ctx, order, "minbase", []hook{
		{name: "dashboard", stage: "essential", script: dashboardHook, arguments: []string{"try-again"}},
		{name: "dashboard", stage: "customize", script: dashboardHook, arguments: []string{"as-packaged"}},
		{name: "customize", stage: "customize", script: customizeHook, arguments: []string{order.release()}},
	}, progress)
	if err != nil {
		return Built{}, err
	}
	built.Packages, err = installedPackages(order.Root)
	return built, err
}

// hook is a script that mmdebstrap runs at one of its stages, with the new root and the arguments.
type hook struct {
	name, stage, script string
	arguments           []string
}

// path is where the script is while the order is carried out.
func (h hook) path(order BuildOrder) string { return filepath.Join(order.Scratch, h.name+".sh") }

// option is mmdebstrap's.
func (h hook) option(order BuildOrder) string {
	call := fmt.Sprintf(`--%s-hook=sh %s "$1"`, h.stage, shellQuote(h.path(order)))
	for _, argument := range h.arguments {
		call += " " + shellQuote(argument)
	}
	return call
}

// release is where one of the hooks copies the InRelease file to.
func (o BuildOrder) release() string { return filepath.Join(o.Scratch, "InRelease") }

// run makes a directory of the order's packages and returns the digest of the archive state that they are from.
func (b *Mmdebstrap) run(ctx context.Context, order BuildOrder, variant string, hooks []hook, progress func(string)) (digest string, err error) {
	if unix.Geteuid() != 0 {
		return "", environment(errors.New("building a root file system needs root's rights"))
	}
	made := []string{order.release()}
	for _, at := range hooks {
		made = append(made, at.path(order))
		if err := os.WriteFile(at.path(order), []byte(at.script), 0o700); err != nil {
			return "", fmt.Errorf("%s hook: %w", at.name, err)
		}
	}
	defer func() {
		for _, file := range made {
			if gone := os.Remove(file); gone != nil && !errors.Is(gone, os.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
	}()
	// An old log would be taken for this build's.
	if err := os.WriteFile(order.Log, nil, 0o600); err != nil {
		return "", fmt.Errorf("log of the build: %w", err)
	}
	args := []string{
		"unshare", "--mount", "--propagation=private", "--pid", "--mount-proc", "--fork", "--kill-child=KILL", "--",
		"mmdebstrap",
	}
	args = append(args, recipeOptions(variant)...)
	for _, option := range b.Mirror.proxies.aptOptions() {
		args = append(args, "--aptopt="+option)
	}
	if b.Mirror.AllowExpired {
		args = append(args, `--aptopt=Acquire::Check-Valid-Until "false"`)
	}
	if keyring := archiveKeyring(); keyring != "" {
		args = append(args, "--keyring="+keyring)
	}
	if strings.HasPrefix(order.Mirror, "file:") {
		args = append(args, "--hook-dir=/usr/share/mmdebstrap/hooks/file-mirror-automount")
	}
	more := filepath.Join(order.Scratch, "extra")
	options, err := order.Extra.options(more)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, removeTree(more)) }()
	args = append(args, options...)
	for _, at := range hooks {
		args = append(args, at.option(order))
	}
	args = append(args,
		"--include="+strings.Join(order.Packages, ","),
		order.Suite, order.Root, order.Mirror)

	timeout := b.Timeout
	if timeout == 0 {
		timeout = defaultBuildTimeout
	}
	tell := startNarrator(progress)
	defer tell.stop()
	_, err = exec.Run(ctx, exec.Command{
		Args: args, Dir: "/", Env: buildEnv(), Log: order.Log, Timeout: timeout, Grace: 2 * time.Second,
		OnLine: tell.line, Cookie: buildCookie + "=" + order.Scratch,
	})
	if err != nil {
		return "", explainBuild(err, order)
	}
	tell.say("checking what was built")
	text, err := os.ReadFile(order.release())
	if err != nil {
		return "", fmt.Errorf("the archive state that was installed from: %w", err)
	}
	parsed, err := parseRelease(text)
	if err != nil {
		return "", err
	}
	return parsed.digest(debianArchitecture())
}

// Abandon kills what is left of a build that was itself killed.
func (b *Mmdebstrap) Abandon(ctx context.Context, scratch string) error {
	_, err := exec.KillCookie(ctx, buildCookie, scratch, 0)
	return err
}

// explainBuild makes the error of a failed build one that can be acted on: the last lines, the log, the mirror.
func explainBuild(err error, order BuildOrder) error {
	failed := new(exec.Error)
	if !errors.As(err, &failed) {
		return err
	}
	if failed.Cancelled {
		return fmt.Errorf("the build was stopped: %w", failed.Err)
	}
	what := fmt.Sprintf("ended with exit code %d", failed.ExitCode)
	switch {
	case failed.TimedOut:
		what = fmt.Sprintf("was killed at its limit of %s", failed.Limit)
	case failed.ExitCode == -1 && failed.Err != nil:
		return environment(fmt.Errorf("mmdebstrap cannot be run: %w", failed.Err))
	}
	return environment(&BuildError{
		Text: fmt.Sprintf("mmdebstrap %s with packages from %s; last lines:\n  %s\nlog: %s", what, redacted(order.Mirror),
			strings.Join(failed.Tail, "\n  "), order.Log),
		Tail: failed.Tail, Log: order.Log, Err: err,
	})
}

// BuildError is a build that failed, with its last lines and the path of its whole output.
type BuildError struct {
	Text string
	Tail []string
	Log  string
	Err  error
}

func (e *BuildError) Error() string { return e.Text }
func (e *BuildError) Unwrap() error { return e.Err }

// buildEnv is the caller's environment with nobody to answer questions and messages in English.
func buildEnv() []string {
	return append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true", "LC_ALL=C.UTF-8", "LANG=C.UTF-8")
}

// archiveKeyring is Debian's own keyring, if the host has it: a host of another suite, or Ubuntu, may not trust the
// keys of the suite that is wanted.
func archiveKeyring() string {
	for _, path := range []string{"/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

// installedPackages reads which packages a root holds, and their versions, from dpkg's status file.
func installedPackages(root string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(root, "var/lib/dpkg/status"))
	if err != nil {
		return nil, fmt.Errorf("packages of the new root: %w", err)
	}
	packages := map[string]string{}
	for _, p := range dpkgStatus(string(text)) {
		packages[p.name] = p.version
	}
	if len(packages) == 0 {
		return nil, errors.New("packages of the new root: dpkg's status file lists none")
	}
	return packages, nil
}
