// Package probe finds out what runs in a node: which processes a systemd unit has, who listens on a port, which
// version of a package is installed, what an API answers. It only looks; it changes nothing.
package probe

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"grenade/framework/exec"
	"grenade/framework/node"
)

// limit bounds one look into a node.
const limit = time.Minute

// Process is a process of the node.
type Process struct {
	// Unit is the systemd unit as it was asked for; in an answer of Listeners the unit's full name, or "".
	Unit string `json:"unit"`
	// PID is the number that the process has in the node.
	PID int `json:"pid"`
	// StartTime is in clock ticks since the machine's boot (proc(5), /proc/pid/stat field 22).
	StartTime uint64 `json:"start_time"`
	// Exe is the file that it runs, as seen from the node's own root; the kernel adds " (deleted)" when the
	// file is gone.
	Exe string `json:"exe"`
	// Root is its root directory: "/", unless it was started with another one; "unknown (device:inode)" when it
	// has a mount namespace of its own and its root is mounted nowhere in the node's.
	Root string `json:"root"`
	// Cmdline is its command line with blanks between the words; that of a kernel thread or a zombie is "".
	Cmdline string `json:"cmdline"`
}

// scripts are what runs in the node: describe.sh, and one of the others after it.
//
//go:embed *.sh
var scripts embed.FS

// script puts one together, with what it is asked in front.
func script(name, question string) (string, error) {
	text := question
	for _, part := range []string{"describe.sh", name} {
		data, err := scripts.ReadFile(part)
		if err != nil {
			return "", fmt.Errorf("script %s: %w", part, err)
		}
		text += string(data)
	}
	return text, nil
}

// Units lists, for each unit, all processes of its control group, those of sub-groups included. Every unit that
// was asked for is in the answer; one that is not there, or has no process, has an empty list. Names are as
// systemctl takes them: "glance-api" is glance-api.service.
func Units(ctx context.Context, n node.Node, units []string) (map[string][]Process, error) {
	found := make(map[string][]Process, len(units))
	for _, unit := range units {
		if unit == "" || strings.ContainsAny(unit, " \t\n/") || strings.HasPrefix(unit, "-") {
			return nil, fmt.Errorf("look at the units' processes: %q is no name of a unit", unit)
		}
		found[unit] = nil
	}
	if len(units) == 0 {
		return found, nil
	}
	lines, err := ask(ctx, n, "units.sh", "mapfile -t asked <<'UNITS'\n"+strings.Join(units, "\n")+"\nUNITS\n")
	if err != nil {
		return nil, fmt.Errorf("look at the processes of %s: %w", strings.Join(units, ", "), err)
	}
	answered := map[string]bool{}
	for _, fields := range lines {
		switch fields[0] {
		case "unit":
			answered[fields[1]] = true
		case "process":
			p, err := parseProcess(fields)
			if err != nil {
				return nil, fmt.Errorf("look at the processes of %s: %w", strings.Join(units, ", "), err)
			}
			found[p.Unit] = append(found[p.Unit], p)
		}
	}
	for _, unit := range units {
		if !answered[unit] {
			return nil, fmt.Errorf("look at the processes of %s: no answer", unit)
		}
	}
	return found, nil
}

// Listeners lists the processes that listen on a TCP port of the node, on any address.
func Listeners(ctx context.Context, n node.Node, port int) ([]Process, error) {
	if port < 1 || port > 65535 {
		return nil, fmt.Errorf("who listens on port %d: no such port", port)
	}
	lines, err := ask(ctx, n, "listeners.sh", fmt.Sprintf("port=%d\n", port))
	if err != nil {
		return nil, fmt.Errorf("who listens on port %d: %w", port, err)
	}
	var found []Process
	for _, fields := range lines {
		p, err := parseProcess(fields)
		if err != nil {
			return nil, fmt.Errorf("who listens on port %d: %w", port, err)
		}
		if p.Unit == "-" {
			p.Unit = ""
		}
		found = append(found, p)
	}
	return found, nil
}

// ask runs a script as root in the node and gives its lines, split at tabs. The script goes in through stdin: no
// unit's name is to be seen in a command line, where a plugin's "ps | grep" would take it for a service.
func ask(ctx context.Context, n node.Node, name, question string) ([][]string, error) {
	text, err := script(name, question)
	if err != nil {
		return nil, err
	}
	out, err := n.Output(ctx, node.Command{Command: exec.Command{
		Args: []string{"bash", "-s"}, Stdin: []byte(text), Timeout: limit,
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"},
	}})
	if err != nil {
		return nil, err
	}
	var lines [][]string
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return lines, nil
}

// parseProcess reads the fields that describe prints.
func parseProcess(fields []string) (Process, error) {
	if len(fields) != 7 || fields[0] != "process" {
		return Process{}, fmt.Errorf("cannot read %q", strings.Join(fields, "\t"))
	}
	pid, pidErr := strconv.Atoi(fields[2])
	start, startErr := strconv.ParseUint(fields[3], 10, 64)
	if err := errors.Join(pidErr, startErr); err != nil {
		return Process{}, fmt.Errorf("cannot read %q: %w", strings.Join(fields, "\t"), err)
	}
	return Process{
		Unit: fields[1], PID: pid, StartTime: start, Exe: fields[4], Root: fields[5],
		Cmdline: strings.TrimSpace(fields[6]),
	}, nil
}
