package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is one process of this host, told apart from a later one with the same number by its start time.
type Process struct {
	PID int `json:"pid"`
	// StartTime is in clock ticks since boot (proc(5), /proc/pid/stat field 22).
	StartTime uint64 `json:"start_time"`
	// Command is the command line with blanks between the words, or the kernel's name for the process.
	Command string `json:"command"`
}

// stat is what we need of /proc/pid/stat (proc(5)).
type stat struct {
	comm    string
	state   byte
	parent  int
	group   int
	session int
	flags   uint64
	start   uint64
	program program
}

// program tells the program that a process runs from the next one: where its code and its environment begin.
type program struct {
	code    uint64
	environ uint64
}

// Flags of the kernel's include/linux/sched.h: PF_EXITING and PF_KTHREAD.
const (
	exiting      = 0x4
	kernelThread = 0x200000
)

// readStat fails with fs.ErrNotExist when there is no such process.
func readStat(pid int) (stat, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		if errors.Is(err, unix.ESRCH) {
			err = fmt.Errorf("process %d: %w", pid, os.ErrNotExist)
		}
		return stat{}, err
	}
	// The name may hold blanks and parentheses itself: the last ")" ends it.
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 0 || end < open {
		return stat{}, fmt.Errorf("process %d: cannot read its stat %q", pid, data)
	}
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 48 {
		return stat{}, fmt.Errorf("process %d: cannot read its stat %q", pid, data)
	}
	s := stat{comm: string(data[open+1 : end]), state: fields[0][0]}
	for field, into := range map[int]*int{1: &s.parent, 2: &s.group, 3: &s.session} {
		if *into, err = strconv.Atoi(fields[field]); err != nil {
			return stat{}, fmt.Errorf("process %d: cannot read its stat: %w", pid, err)
		}
	}
	for field, into := range map[int]*uint64{6: &s.flags, 19: &s.start, 23: &s.program.code, 47: &s.program.environ} {
		if *into, err = strconv.ParseUint(fields[field], 10, 64); err != nil {
			return stat{}, fmt.Errorf("process %d: cannot read its stat: %w", pid, err)
		}
	}
	return s, nil
}

// dead tells a zombie: it runs nothing and holds nothing but its number.
func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

// bare tells who has no environment: a part of the kernel, or a process whose memory is gone.
func (s stat) bare() bool { return s.flags&(exiting|kernelThread) != 0 }

// loaded says that its program has been loaded: the kernel sets this address last (fs/binfmt_elf.c).
func (s stat) loaded() bool { return s.program.code != 0 }

// FindProcess gives the process that has this number now. A number that nobody has, or a zombie, is
// os.ErrNotExist.
func FindProcess(pid int) (Process, error) {
	s, err := readStat(pid)
	if err != nil {
		return Process{}, err
	}
	if s.dead() {
		return Process{}, fmt.Errorf("process %d (%s) is a zombie: %w", pid, s.comm, os.ErrNotExist)
	}
	return Process{PID: pid, StartTime: s.start, Command: commandLine(pid, s.comm)}, nil
}

// ChildOf says whether the process's parent is the given one.
func (p Process) ChildOf(parent int) bool {
	s, err := readStat(p.PID)
	return err == nil && s.start == p.StartTime && s.parent == parent
}

// Alive says whether it is still this very process that has the number, and no zombie.
func (p Process) Alive() bool {
	s, err := readStat(p.PID)
	return err == nil && s.start == p.StartTime && !s.dead()
}

// Running says whether it is alive and not on its way out. The first process of a container takes a while to
// die: it waits for all others there.
func (p Process) Running() bool {
	s, err := readStat(p.PID)
	return err == nil && s.start == p.StartTime && !s.dead() && s.flags&exiting == 0
}

// Signal sends a signal to this very process; one that is gone is no error, and a stranger that has the
// number by now gets nothing.
func (p Process) Signal(signal unix.Signal) error {
	fd, err := p.open()
	if err != nil || fd < 0 {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.PidfdSendSignal(fd, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal %s to process %d (%s): %w", unix.SignalName(signal), p.PID, p.Command, err)
	}
	return nil
}

// Wait returns when the process has ended, or with the context's cause.
func (p Process) Wait(ctx context.Context) error {
	fd, err := p.open()
	if err != nil || fd < 0 {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	// The poll wakes at once when the process ends; its limit is there for the context.
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(followInterval/time.Millisecond))
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("wait for process %d (%s): %w", p.PID, p.Command, err)
		case ctx.Err() != nil:
			return fmt.Errorf("process %d (%s) still runs: %w", p.PID, p.Command, context.Cause(ctx))
		}
	}
}

// open gives a pidfd of this very process, or -1 when it is gone. The start time is compared after the
// opening: from then on the descriptor cannot mean another process.
func (p Process) open() (int, error) {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		if errors.Is(err, unix.ESRCH) {
			return -1, nil
		}
		return -1, fmt.Errorf("open process %d (%s): %w", p.PID, p.Command, err)
	}
	if !p.Alive() {
		_ = unix.Close(fd)
		return -1, nil
	}
	return fd, nil
}

// commandLine reads what the process was started as.
func commandLine(pid int, comm string) string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil || len(data) == 0 {
		return "[" + comm + "]"
	}
	line := strings.TrimRight(strings.ReplaceAll(string(data), "\x00", " "), " ")
	return cut(clean(strings.ReplaceAll(line, "\n", " ")), maxTailLine)
}

// eachProcess visits every process of this host once, those inside containers included, and those that come
// while it visits: a process may leave a child behind and be gone before its turn.
func eachProcess(visit func(pid int)) error {
	visited := map[int]bool{}
	for {
		all, err := pids()
		if err != nil {
			return err
		}
		before := len(visited)
		for _, pid := range all {
			if !visited[pid] {
				visited[pid] = true
				visit(pid)
			}
		}
		if len(visited) == before {
			return nil
		}
	}
}

// pids lists the processes of this host.
func pids() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	var all []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			all = append(all, pid)
		}
	}
	return all, nil
}
