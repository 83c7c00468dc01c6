// Package exec runs one program on this host so that nothing about it can be lost or left behind: its output
// goes straight to a file, its exit code is always told, and on a timeout or a cancel the whole tree of its
// processes is ended, those that left its process group included.
package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// DefaultGrace is how long a program may take to end after TERM, before it gets KILL.
	DefaultGrace = 5 * time.Second
	// killWait bounds the wait for processes that got KILL. Only one that hangs in the kernel takes longer.
	killWait = 10 * time.Second
	// loadWait bounds the wait for a process whose next program is being loaded, which takes milliseconds.
	loadWait = 5 * time.Second
	// pollInterval is how often /proc is read while a process group is being ended: groups have no event.
	pollInterval = 20 * time.Millisecond
)

// ErrTimeout is what an Error of a command that ran into its Timeout unwraps to.
var ErrTimeout = errors.New("time limit reached")

// Command says what to run. Only Args is needed.
type Command struct {
	// Args is the program and its arguments. A program without a slash is looked up in the PATH of Env.
	Args []string
	// Dir is the working directory; "" is the caller's.
	Dir string
	// Env is the complete environment; nil inherits the caller's.
	Env []string
	// Stdin is what the program reads; nil is an empty input. It is kept in memory, never on disk.
	Stdin []byte
	// Log is the file that stdout and stderr are appended to, created with mode 0644 when it is missing.
	// The program writes to the file itself: there is no pipe that could fill up, and a daemon that keeps
	// its stdout open holds up nobody. "" is a private file that is gone when Run returns.
	Log string
	// LogOwner, when set, is given the output files, so that a program running as that user can open
	// /dev/stdout and /dev/stderr again.
	LogOwner *Owner
	// Timeout is the limit of the run; 0 leaves it to the context.
	Timeout time.Duration
	// Grace is the time between TERM and KILL; default DefaultGrace.
	Grace time.Duration
	// OnLine is called with each line of output while the program runs, in order, from one goroutine, and
	// never after Run has returned. A last line without a newline is told as well; a line is cut at MaxLine.
	OnLine func(line string)
	// Cookie, "NAME=value", is put into the environment. After a timeout or a cancel every process that
	// still carries it is killed, whatever session, process group or container it went to.
	Cookie string
}

// Owner is a numeric user and group.
type Owner struct{ UID, GID int }

// Result tells how a program ended. It is valid beside an error, too.
type Result struct {
	// ExitCode is the program's; 128+n when signal n killed it; -1 when it never ran.
	ExitCode int
	// Duration is the time from start to end, the ending of a timed-out group included.
	Duration time.Duration
	// Tail is the last TailLines lines that this run wrote to Log.
	Tail []string
	// Log is Command.Log.
	Log string
}

// Run runs a command to its end. The error is an *Error unless the exit code is 0. Processes that the command
// left running after it ended by itself are not touched: starting a daemon is no mistake.
func Run(ctx context.Context, c Command) (Result, error) {
	log, err := openOutput(c.Log, c.LogOwner)
	if err != nil {
		return notStarted(c, err)
	}
	defer log.close()
	return run(ctx, c, log.writer, log)
}

// Output runs a command and returns what it wrote to stdout, all of it in memory. Stderr goes to Log, and to
// the error's tail; when stderr is silent the tail is that of stdout. OnLine is told stderr.
func Output(ctx context.Context, c Command) ([]byte, error) {
	log, err := openOutput(c.Log, c.LogOwner)
	if err != nil {
		_, err = notStarted(c, err)
		return nil, err
	}
	defer log.close()
	out, err := openOutput("", c.LogOwner)
	if err != nil {
		_, err = notStarted(c, err)
		return nil, err
	}
	defer out.close()

	_, err = run(ctx, c, out.writer, log)
	size, sizeErr := out.size()
	if sizeErr != nil {
		return nil, errors.Join(err, sizeErr)
	}
	stdout := make([]byte, size)
	n, readErr := out.reader.ReadAt(stdout, 0)
	if readErr != nil && !errors.Is(readErr, io.EOF) {
		return nil, errors.Join(err, fmt.Errorf("read the output of %s: %w", describe(c.Args), readErr))
	}
	var failed *Error
	if errors.As(err, &failed) && len(failed.Tail) == 0 {
		failed.Tail = out.tail()
	}
	return stdout[:n], err
}

// run starts the command with its stdout on the given file and its stderr on log, and sees it to its end.
func run(ctx context.Context, c Command, stdout *os.File, log *output) (Result, error) {
	if ctx.Err() != nil {
		return Result{ExitCode: -1, Log: c.Log}, &Error{Args: c.Args, ExitCode: -1, Cancelled: true, Log: c.Log, Err: context.Cause(ctx)}
	}
	cmd, err := start(ctx, c, stdout, log.writer)
	if err != nil {
		return notStarted(c, err)
	}
	started := time.Now()
	done := make(chan struct{})
	go func() {
		// The exit status is read from ProcessState: with files for all three streams Wait has no other error.
		_ = cmd.Wait()
		close(done)
	}()
	follow := log.follow(c.OnLine)

	failed := &Error{Args: c.Args, Log: c.Log}
	var limit <-chan time.Time
	if c.Timeout > 0 {
		timer := time.NewTimer(c.Timeout)
		defer timer.Stop()
		limit = timer.C
	}
	select {
	case <-done:
	case <-limit:
		failed.TimedOut, failed.Limit, failed.Err = true, c.Timeout, ErrTimeout
	case <-ctx.Done():
		failed.Cancelled, failed.Err = true, context.Cause(ctx)
	}
	if failed.Err != nil && ended(done) {
		// It ended by itself in the same moment: that is what counts.
		failed = &Error{Args: c.Args, Log: c.Log}
	}
	if failed.Err != nil {
		if err := end(ctx, cmd.Process.Pid, c, done); err != nil {
			failed.Err = errors.Join(failed.Err, err)
		}
	}
	follow.finish()

	result := Result{ExitCode: -1, Duration: time.Since(started), Tail: log.tail(), Log: c.Log}
	if ended(done) {
		result.ExitCode = exitCode(cmd.ProcessState)
	}
	if result.ExitCode == 0 && failed.Err == nil {
		return result, nil
	}
	failed.ExitCode, failed.Tail = result.ExitCode, result.Tail
	return result, failed
}

// prepare turns a Command into one of os/exec that is its own session, hence its own process group, and has
// no terminal: a program that asks a question fails instead of waiting.
func prepare(c Command, stdout, stderr *os.File) (*osexec.Cmd, error) {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return nil, errors.New("no program given")
	}
	env := c.Env
	if env == nil {
		env = os.Environ()
	}
	path, err := lookPath(c.Args[0], c.Dir, env)
	if err != nil {
		return nil, err
	}
	if c.Cookie != "" {
		if name, _, ok := strings.Cut(c.Cookie, "="); !ok || name == "" {
			return nil, fmt.Errorf("cookie %q is not NAME=value", c.Cookie)
		}
		env = append(env[:len(env):len(env)], c.Cookie)
	}
	// Not CommandContext: it kills one process only, and knows neither grace nor group.
	cmd := &osexec.Cmd{
		Path: path, Args: c.Args, Dir: c.Dir, Env: env, Stdout: stdout, Stderr: stderr,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if c.Stdin != nil {
		stdin, err := memoryFile(c.Stdin)
		if err != nil {
			return nil, err
		}
		cmd.Stdin = stdin
	}
	return cmd, nil
}

// exitCode gives the shell's number for how a process ended.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// notStarted is the result of a command that never ran.
func notStarted(c Command, err error) (Result, error) {
	return Result{ExitCode: -1, Log: c.Log}, &Error{Args: c.Args, ExitCode: -1, Log: c.Log, Err: err}
}

// ended says whether the program has been reaped.
func ended(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
