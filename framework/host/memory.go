package host

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// memoryEvery is the time between two looks.
const memoryEvery = time.Second

// Memory watches how much memory the whole machine uses: what a run needs
// cannot be had from one control group, because a node's may have no memory
// controller.
type Memory struct {
	before int64
	peak   atomic.Int64
}

// WatchMemory looks once a second until ctx ends.
func WatchMemory(ctx context.Context) (*Memory, error) {
	before, err := memoryUsed("/proc/meminfo")
	if err != nil {
		return nil, err
	}
	m := &Memory{before: before}
	go func() {
		ticker := time.NewTicker(memoryEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if now, err := memoryUsed("/proc/meminfo"); err == nil && now > m.peak.Load() {
				m.peak.Store(now)
			}
		}
	}()
	return m, nil
}

// Peak is the most that was used beyond what was in use when the watch began,
// in bytes.
func (m *Memory) Peak() int64 { return max(0, m.peak.Load()-m.before) }

// memoryUsed is what is not available, in bytes: MemTotal - MemAvailable, which
// leaves out caches that the kernel can drop (proc(5), /proc/meminfo).
func memoryUsed(path string) (used int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("memory in use: %w", err)
	}
	defer func() { _ = file.Close() }() // Nothing was written.
	values := map[string]int64{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		var kib int64
		if _, err := fmt.Sscanf(rest, "%d kB", &kib); err == nil {
			values[name] = kib
		}
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("memory in use: %w", err)
	}
	total, available := values["MemTotal"], values["MemAvailable"]
	if total == 0 || available == 0 {
		return 0, fmt.Errorf("memory in use: %s has no MemTotal or no MemAvailable", path)
	}
	return (total - available) << 10, nil
}
