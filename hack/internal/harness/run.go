package harness

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// pollInterval is how often the journal and /proc are looked at: short against
// the fastest phase.
const pollInterval = 20 * time.Millisecond

// Launch says how a run is started.
type Launch struct {
	// Checkout is the source tree whose hack/upgrade is run.
	Checkout string
	// Args are options for hack/upgrade.
	Args []string
	// Env are settings on top of this process's environment.
	Env []string
	// Journal is the path of the run's journal.
	Journal string
	// Log is the file that the run's output is written to.
	Log string
}

// Run is a run of hack/upgrade in a session of its own.
type Run struct {
	cmd     *exec.Cmd
	log     string
	journal *Follower
	done    chan struct{}
	events  []Event
	unread  []Event
}

// Start starts hack/upgrade.
func Start(ctx context.Context, launch Launch) (*Run, error) {
	journal, err := Follow(launch.Journal)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(launch.Log), 0o755); err != nil {
		return nil, fmt.Errorf("start a run: %w", err)
	}
	output, err := os.Create(launch.Log)
	if err != nil {
		return nil, fmt.Errorf("start a run: %w", err)
	}
	defer output.Close()
	// The run outlives ctx on purpose: an interrupted tool ends it in order.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(launch.Checkout, "hack", "upgrade"), launch.Args...)
	cmd.Dir = launch.Checkout
	cmd.Env = Environment(launch.Env)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a run: %w", err)
	}
	run := &Run{cmd: cmd, log: launch.Log, journal: journal, done: make(chan struct{})}
	go func() {
		defer close(run.done)
		// The status is in ProcessState; there is no pipe that could fail.
		_ = cmd.Wait()
	}()
	return run, nil
}

// Environment is this process's environment with the settings on top, without the
// cookies by which a run knows its own processes.
func Environment(settings []string) []string {
	environ := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return name == RunCookie || name == ScriptCookie
	})
	return append(environ, settings...)
}

// ErrEnded tells that a run ended before the event that was waited for.
var ErrEnded = errors.New("the run ended")

// Until waits for the next event that want accepts. It is ErrEnded when the run
// ends without it, and names the last event seen.
func (r *Run) Until(ctx context.Context, what string, want func(Event) bool) (Event, error) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		ended := r.Ended()
		if err := r.read(); err != nil {
			return Event{}, err
		}
		for i, event := range r.unread {
			if want(event) {
				r.unread = r.unread[i+1:]
				return event, nil
			}
		}
		r.unread = nil
		if ended {
			return Event{}, fmt.Errorf("waiting for %s: %w (exit %d) after %s; its output: %s",
				what, ErrEnded, r.cmd.ProcessState.ExitCode(), r.last(), r.log)
		}
		select {
		case <-ctx.Done():
			return Event{}, fmt.Errorf("waiting for %s, last seen %s: %w; output: %s", what, r.last(), context.Cause(ctx), r.log)
		case <-r.done:
		case <-ticker.C:
		}
	}
}

func (r *Run) last() Event {
	if len(r.events) == 0 {
		return Event{}
	}
	return r.events[len(r.events)-1]
}

func (r *Run) read() error {
	fresh, err := r.journal.Next()
	if err != nil {
		return err
	}
	r.events = append(r.events, fresh...)
	r.unread = append(r.unread, fresh...)
	return nil
}

// Ended tells whether hack/upgrade has ended.
func (r *Run) Ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// Wait waits until hack/upgrade has ended and returns its exit code, -1 when a
// signal killed it.
func (r *Run) Wait(ctx context.Context) (int, error) {
	select {
	case <-r.done:
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for the run to end, last seen %s: %w; output: %s", r.last(), context.Cause(ctx), r.log)
	}
	return r.cmd.ProcessState.ExitCode(), r.read()
}

// Log is the file that holds the run's output.
func (r *Run) Log() string { return r.log }

// Events returns the run's events so far.
func (r *Run) Events() []Event { return slices.Clone(r.events) }

// Phases returns the phases whose rows have started, in that order.
func (r *Run) Phases() []string {
	var phases []string
	for _, event := range r.events {
		if event.Kind == KindRow && event.State == Started && !slices.Contains(phases, event.Phase) {
			phases = append(phases, event.Phase)
		}
	}
	return phases
}

// Begin returns the run's own "run started" event, which bears its id, the suite's
// pid and the results directory.
func (r *Run) Begin() (Event, error) {
	for _, event := range r.events {
		if event.Kind == KindRun && event.State == Started {
			return event, nil
		}
	}
	return Event{}, fmt.Errorf("the journal has no 'run started' yet (last: %s); output: %s", r.last(), r.log)
}

// Suite finds the suite's process: the one that the journal names, in our session.
func (r *Run) Suite() (Process, error) {
	begin, err := r.Begin()
	if err != nil {
		return Process{}, err
	}
	suite, err := ReadProcess(begin.PID)
	if err != nil {
		return Process{}, fmt.Errorf("the suite: %w", err)
	}
	if suite.Session != r.cmd.Process.Pid {
		return Process{}, fmt.Errorf("pid %d in the journal is %s of session %d, not the suite that we started (session %d)",
			begin.PID, suite.Comm, suite.Session, r.cmd.Process.Pid)
	}
	return suite, nil
}

// CLI finds the Ginkgo CLI: the suite's parent.
func (r *Run) CLI() (Process, error) {
	suite, err := r.Suite()
	if err != nil {
		return Process{}, err
	}
	cli, err := ReadProcess(suite.Parent)
	if err != nil {
		return Process{}, fmt.Errorf("the Ginkgo CLI: %w", err)
	}
	if cli.Session != suite.Session || cli.Comm != "ginkgo" {
		return Process{}, fmt.Errorf("the suite's parent is %s of session %d, not the Ginkgo CLI", cli, cli.Session)
	}
	return cli, nil
}

// Terminate ends the run in order, as a CI system does that cancels a job: TERM to
// hack/upgrade, and KILL to its whole session when ctx ends first.
func (r *Run) Terminate(ctx context.Context) error {
	if r.Ended() {
		return nil
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("terminate the run: %w", err)
	}
	if _, err := r.Wait(ctx); err != nil {
		return errors.Join(err, r.kill())
	}
	return nil
}

// kill kills what is left of the session.
func (r *Run) kill() error {
	left, err := Processes(func(p Process) bool { return p.Session == r.cmd.Process.Pid })
	if err != nil {
		return err
	}
	for _, process := range left {
		if err := process.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	}
	return nil
}

// endBudget is how long a run that was told to end may take over it: the suite's
// own clean-up has less.
const endBudget = 8 * time.Minute

// End makes sure that the run has ended, also when ctx is over already: in order
// if it can, and by force if not.
func (r *Run) End(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), endBudget,
		fmt.Errorf("the run did not end within %s of SIGTERM", endBudget))
	defer cancel()
	return r.Terminate(ctx)
}
