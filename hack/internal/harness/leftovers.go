package harness

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The variables that every process of a run carries.
const (
	RunCookie    = "GRENADE_RUN"
	ScriptCookie = "GRENADE_SCRIPT"
)

// Snapshot is what a run could leave on the host, each thing as one line.
type Snapshot struct {
	Mounts, Links, Routes, Processes, Cgroups []string
}

// TakeSnapshot looks at the host. It changes nothing.
func TakeSnapshot() (Snapshot, error) {
	var snapshot Snapshot
	for _, part := range []struct {
		into *[]string
		look func() ([]string, error)
	}{
		{&snapshot.Mounts, mounts},
		{&snapshot.Links, links},
		{&snapshot.Routes, routes},
		{&snapshot.Processes, runProcesses},
		{&snapshot.Cgroups, cgroups},
	} {
		lines, err := part.look()
		if err != nil {
			return Snapshot{}, fmt.Errorf("look at the host: %w", err)
		}
		slices.Sort(lines)
		*part.into = lines
	}
	return snapshot, nil
}

// NothingLeftSince is an error that lists what LeftSince does, if anything.
func (s Snapshot) NothingLeftSince(earlier Snapshot) error {
	if left := s.LeftSince(earlier); len(left) > 0 {
		return fmt.Errorf("left behind:\n  %s", strings.Join(left, "\n  "))
	}
	return nil
}

// LeftSince lists what the host holds now and did not hold at the earlier
// snapshot, as "kind: line".
func (s Snapshot) LeftSince(earlier Snapshot) []string {
	var left []string
	compare := func(kind string, before, now []string) {
		count := map[string]int{}
		for _, line := range before {
			count[line]++
		}
		for _, line := range now {
			if count[line]--; count[line] < 0 {
				left = append(left, kind+": "+line)
			}
		}
	}
	compare("mount", earlier.Mounts, s.Mounts)
	compare("link", earlier.Links, s.Links)
	compare("route", earlier.Routes, s.Routes)
	compare("process", earlier.Processes, s.Processes)
	compare("cgroup", earlier.Cgroups, s.Cgroups)
	return left
}

// mounts are this mount namespace's. A mount in a namespace of its own goes with
// its last process, which runProcesses sees.
func mounts() ([]string, error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("mounts: %w", err)
	}
	return parseMountinfo(content)
}

// parseMountinfo gives "<mount point> <type>" for each line of proc(5)'s mountinfo.
func parseMountinfo(content []byte) ([]string, error) {
	var found []string
	for line := range bytes.Lines(content) {
		fields := strings.Fields(string(line))
		dash := slices.Index(fields, "-")
		if len(fields) < 5 || dash < 0 || dash+1 >= len(fields) {
			return nil, fmt.Errorf("mounts: not a line of mountinfo: %q", line)
		}
		found = append(found, fields[4]+" "+fields[dash+1])
	}
	return found, nil
}

func links() ([]string, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("links: %w", err)
	}
	names := make([]string, 0, len(interfaces))
	for _, link := range interfaces {
		names = append(names, link.Name)
	}
	return names, nil
}

// routes are the IPv4 routes as the kernel prints them: interface, destination,
// gateway and mask. Those of IPv6 come and go with router advertisements, and a
// run makes none.
func routes() ([]string, error) {
	content, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	var found []string
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Scan() // the heading
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 8 {
			return nil, fmt.Errorf("routes: not a line of /proc/net/route: %q", lines.Text())
		}
		found = append(found, strings.Join([]string{fields[0], fields[1], fields[2], fields[7]}, " "))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	return found, nil
}

// runProcesses are the processes that carry a run's cookie, and containers, the
// suite and its CLI whoever started them.
func runProcesses() ([]string, error) {
	processes, err := Processes(func(p Process) bool {
		switch p.Comm {
		case "systemd-nspawn", "suite.test", "ginkgo":
			return true
		}
		_, run := p.Getenv(RunCookie)
		_, script := p.Getenv(ScriptCookie)
		return run || script
	})
	if err != nil {
		return nil, err
	}
	found := make([]string, 0, len(processes))
	for _, process := range processes {
		found = append(found, fmt.Sprintf("%s, started at tick %d: %s", process, process.Start, process.Cmdline()))
	}
	return found, nil
}

// cgroups are the directories that a container's manager makes.
func cgroups() ([]string, error) {
	const root = "/sys/fs/cgroup"
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			// A group may go while we look; a host may have no cgroups at all.
			return nil //nolint:nilerr // see above
		}
		name := entry.Name()
		if entry.IsDir() && (name == "payload" || name == "supervisor" || strings.Contains(name, "grenade") || strings.HasPrefix(name, "machine")) {
			found = append(found, path)
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cgroups: %w", err)
	}
	return found, nil
}

// SaveSnapshot writes the snapshot to a file.
func SaveSnapshot(path string, snapshot Snapshot) error {
	content, err := json.MarshalIndent(snapshot, "", "  ")
	if err != nil {
		return fmt.Errorf("save a snapshot: %w", err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return fmt.Errorf("save a snapshot: %w", err)
	}
	return nil
}

// LoadSnapshot reads what SaveSnapshot wrote.
func LoadSnapshot(path string) (Snapshot, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Snapshot{}, fmt.Errorf("load a snapshot: %w", err)
	}
	var snapshot Snapshot
	if err := json.Unmarshal(content, &snapshot); err != nil {
		return Snapshot{}, fmt.Errorf("load a snapshot: %s: %w", path, err)
	}
	return snapshot, nil
}

// CarriersOf lists the processes that carry the run's cookie.
func CarriersOf(run string) ([]Process, error) {
	return Processes(func(p Process) bool {
		value, set := p.Getenv(RunCookie)
		return set && value == run
	})
}
