// Command cloud works on the cloud that a run left, from outside the suite:
// it removes it, enters it, or runs a command in it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/host"
	"grenade/framework/log"
	"grenade/framework/node"
	"grenade/framework/tree/debstack"
	"grenade/framework/tree/devstack"
	"grenade/framework/tree/external"
	"grenade/phases"
	"grenade/resources/native"
)

const usage = `usage: cloud <command>

  clean            remove the node and what its run saved; results stay
  clean-cache      remove the cached root file systems and guests
  shell            enter the node as the user stack, with the administrator's openrc
  exec [--] CMD    run a command in the node as root
  save DIR         stop the base cloud and copy it to DIR, for BASE_LAYER; then it
                   is of no more use
  status           say what there is
  describe         print the cloud's address, administrator and a way into its node as
                   JSON, as the tests of resources/native take it; holds a password

The settings are those of the suite: environment, localrc, defaults.
`

// patience is how long clean waits for a run that is about to end, such as one
// whose Ginkgo CLI was killed and that is cleaning up after itself.
const patience = 2 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "cloud:", err)
	}
	os.Exit(code) //nolint:gocritic // stop has nothing left to do
}

func run(ctx context.Context, args []string) (int, error) {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2, nil
	}
	here, err := os.Getwd()
	if err != nil {
		return 3, fmt.Errorf("where am I: %w", err)
	}
	settings, err := config.Load(ctx, config.Sources{Environ: os.Environ(), Dirs: []string{here}})
	if err != nil {
		return 2, fmt.Errorf("configuration:\n%w", err)
	}
	switch args[0] {
	case "clean":
		return code(clean(ctx, settings))
	case "clean-cache":
		return code(cleanCache(ctx, settings))
	case "shell":
		return code(shell(settings))
	case "exec":
		return inNode(ctx, settings, args[1:])
	case "save":
		if len(args) != 2 || !filepath.IsAbs(args[1]) {
			return 2, errors.New("save needs a directory, as an absolute path")
		}
		return code(debstack.SaveLayer(ctx, settings, filepath.Clean(args[1])))
	case "describe":
		return code(describe(settings))
	case "status":
		return code(status(settings))
	case "help", "--help", "-h":
		fmt.Print(usage)
		return 0, nil
	default:
		fmt.Fprint(os.Stderr, usage)
		return 2, fmt.Errorf("there is no command %q", args[0])
	}
}

func code(err error) (int, error) {
	if err != nil {
		return 3, err
	}
	return 0, nil
}

// clean removes whatever a run left on this machine but its results. A run
// that is in progress is not disturbed.
func clean(ctx context.Context, settings *config.Config) error {
	release, err := host.Exclusive(ctx, settings.StackRoot, patience, func() {
		fmt.Printf("a run is in progress or ending in %s; waiting up to %s for it\n", settings.StackRoot, patience)
	})
	if err != nil {
		return err
	}
	defer release() //nolint:errcheck // the process ends here
	previous, previousErr := phases.PreviousRun(settings.SaveDir)
	if previous.InACloudOfYours() {
		if err := cleanCloudOfYours(ctx, settings, previous); err != nil {
			return err
		}
	}
	// Whatever the settings say now: what is there says what it is.
	what, err := devstack.DisposeLeftovers(ctx, settings)
	if err != nil {
		return fmt.Errorf("remove the cloud: %w", err)
	}
	for _, cache := range cachesOf(settings) {
		if err := cache.Sweep(ctx); err != nil {
			return err
		}
	}
	if what != "" {
		fmt.Println("removed", what)
	}
	if previousErr != nil {
		fmt.Fprintln(os.Stderr, "cloud:", previousErr)
	}
	if previous != nil || previousErr != nil {
		if err := os.RemoveAll(settings.SaveDir); err != nil {
			return fmt.Errorf("remove SAVE_DIR: %w", err)
		}
		fmt.Println("removed", settings.SaveDir)
	}
	if err := os.Remove(settings.StackRoot); err != nil && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove STACK_ROOT: %w", err)
	}
	return nil
}

// cleanCloudOfYours removes from a cloud that stays what a run made in it. Without that run's SAVE_DIR nobody would know what that is.
func cleanCloudOfYours(ctx context.Context, settings *config.Config, previous *phases.Previous) error {
	if settings.Tree != config.OwnCloud {
		return fmt.Errorf("run %s has left things in a cloud of yours: set GRENADE_TREE=external, EXTERNAL_COMMANDS and that cloud's credentials; without %s nobody knows what they are",
			previous.ID, settings.SaveDir)
	}
	cloud := external.NewCloud(external.Options{RunID: previous.ID, Config: settings, Secrets: log.NewRedactor()})
	if _, err := phases.RemoveLeft(ctx, cloud, native.Checks, settings.SaveDir); err != nil {
		return fmt.Errorf("what run %s left in your cloud: %w", previous.ID, err)
	}
	fmt.Println("removed what run", previous.ID, "had left in your cloud")
	return nil
}

// cachesOf are the caches as far as removing things from them goes.
func cachesOf(settings *config.Config) []*debstack.Cache {
	var all []*debstack.Cache
	for _, kind := range []debstack.Kind{debstack.KindGuest, debstack.KindRoot} {
		all = append(all, &debstack.Cache{Dir: settings.CacheDir, Of: kind, Builder: &debstack.Mmdebstrap{}})
	}
	return all
}

func cleanCache(ctx context.Context, settings *config.Config) error {
	var failed error
	for _, cache := range cachesOf(settings) {
		removed, err := cache.Clean(ctx)
		for _, name := range removed {
			fmt.Println("removed", name)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// shell replaces this process by a shell in the node.
func shell(settings *config.Config) error {
	if settings.Node == config.Local {
		return fmt.Errorf("the cloud is on this machine itself: become %s and source %s", settings.StackUser,
			filepath.Join(settings.StackRoot, "old", "devstack", "openrc"))
	}
	entered, err := node.Attach(debstack.NodeDir(settings))
	if err != nil {
		return err
	}
	base := filepath.Join(settings.StackRoot, "old", "devstack")
	args := entered.ShellArgs("stack", []string{"TERM=" + os.Getenv("TERM"), "HOME=" + settings.StackRoot},
		"bash", "-c", fmt.Sprintf("cd %q && source ./openrc admin admin && exec bash -i", base))
	nsenter, err := osexec.LookPath(args[0])
	if err != nil {
		return fmt.Errorf("enter the node: %w", err)
	}
	if err := syscall.Exec(nsenter, args, os.Environ()); err != nil {
		return fmt.Errorf("enter the node: %w", err)
	}
	return nil
}

// inNode runs a command in the node and returns its exit code.
func inNode(ctx context.Context, settings *config.Config, args []string) (int, error) {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return 2, errors.New("exec needs a command")
	}
	entered, err := node.Attach(debstack.NodeDir(settings))
	if err != nil {
		return 3, err
	}
	output, err := entered.Output(ctx, node.Command{Command: exec.Command{Args: args}})
	fmt.Print(string(output))
	var failed *exec.Error
	if errors.As(err, &failed) {
		return failed.ExitCode, err
	}
	return code(err)
}

// describe prints how to talk to the cloud.
func describe(settings *config.Config) error {
	entered, err := node.Attach(debstack.NodeDir(settings))
	if err != nil {
		return err
	}
	access, err := debstack.AccessOf(settings, entered)
	if err != nil {
		return err
	}
	way := entered.ShellArgs("root", nil, "env") // what follows is the command
	content, err := json.Marshal(map[string]any{
		"auth_url": access.AuthURL, "region": access.Region, "node": way,
		"admin": map[string]string{"Username": access.Username, "Password": access.Password, "Project": access.Project},
	})
	if err != nil {
		return fmt.Errorf("describe the cloud: %w", err)
	}
	fmt.Println(string(content))
	return nil
}

func status(settings *config.Config) error {
	previous, err := phases.PreviousRun(settings.SaveDir)
	switch {
	case err != nil:
		return err
	case previous == nil:
		fmt.Println("no run in", settings.SaveDir)
		return nil
	case previous.Finished:
		fmt.Printf("run %s is finished; its cloud is gone\n", previous.ID)
		return nil
	case previous.InACloudOfYours():
		fmt.Printf("run %s is unfinished, in a cloud of yours; make clean removes what it has made there\n", previous.ID)
		return nil
	}
	if settings.Node == config.Local {
		fmt.Printf("run %s is unfinished, on this machine itself; make clean removes what it has made\n", previous.ID)
		return nil
	}
	if _, err := node.Attach(debstack.NodeDir(settings)); err != nil {
		fmt.Printf("run %s is unfinished, and its node is not there: %v\n", previous.ID, err)
		return nil
	}
	fmt.Printf("run %s is unfinished; its node is up: make shell enters it, make clean removes it\n", previous.ID)
	return nil
}
