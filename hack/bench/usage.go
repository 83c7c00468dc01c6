package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// usage is what processors have done up to a moment.
type usage struct {
	at time.Time
	// ours is the time of this process and of those that it has started and that have
	// ended, whole that of all processes of the machine.
	ours, whole time.Duration
}

// now reads the clocks of the kernel.
func now() (usage, error) {
	var self, children syscall.Rusage
	if err := errors.Join(syscall.Getrusage(syscall.RUSAGE_SELF, &self), syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children)); err != nil {
		return usage{}, fmt.Errorf("processor time: %w", err)
	}
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return usage{}, fmt.Errorf("processor time of the machine: %w", err)
	}
	line, _, _ := strings.Cut(string(stat), "\n")
	var user, nice, system, idle, wait, irq, softirq, steal int64
	// proc(5): hundredths of a second, of all processors together.
	if _, err := fmt.Sscanf(line, "cpu %d %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &wait, &irq, &softirq, &steal); err != nil {
		return usage{}, fmt.Errorf("processor time of the machine: /proc/stat begins with %q: %w", line, err)
	}
	found := usage{at: time.Now(), whole: time.Duration(user+nice+system+irq+softirq+steal) * (time.Second / 100)}
	for _, each := range []syscall.Timeval{self.Utime, self.Stime, children.Utime, children.Stime} {
		found.ours += time.Duration(each.Nano())
	}
	return found, nil
}

// spent is what a stretch of work has taken.
type spent struct {
	// wall is by the clock, cpu the time of processors, ours alone.
	wall, cpu time.Duration
	// others is how many processors everybody else has kept busy meanwhile: near 0 on a
	// quiet machine.
	others float64
}

// since is what was spent since then.
func since(then usage) (spent, error) {
	here, err := now()
	if err != nil {
		return spent{}, err
	}
	result := spent{wall: here.at.Sub(then.at), cpu: here.ours - then.ours}
	result.others = max(0, (here.whole-then.whole-result.cpu).Seconds()/result.wall.Seconds())
	return result, nil
}
