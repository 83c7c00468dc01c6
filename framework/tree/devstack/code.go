package devstack

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"grenade/framework/config"
	"grenade/framework/probe"
	"grenade/framework/tree"
)

// Code tells which checkout each process has loaded: its unit's command says which Python it is, that Python's records where
// the project's distribution was installed from and when, git which commit is there. A process that began before the
// installation has loaded something else, whatever is installed now.
func (c *Cloud) Code(ctx context.Context, service tree.Service, processes []probe.Process) ([]tree.Code, error) {
	var arguments []string
	unknown := map[string]string{}
	for _, name := range service.Units {
		one := c.unit(name)
		how, where := one.interpreter(service.Name)
		arguments = append(arguments, name, how, where, service.Name)
	}
	lines, err := c.ask(ctx, false, "", "code.sh", arguments...)
	if err != nil {
		return nil, fmt.Errorf("which code %s runs: %w", service.Name, err)
	}
	found := map[string]installed{}
	var clock clock
	for _, line := range lines {
		switch {
		case line[0] == "clock" && len(line) == 3:
			if clock, err = readClock(line); err != nil {
				return nil, err
			}
		case line[0] == "unknown" && len(line) == 3:
			unknown[line[1]] = line[2]
		case line[0] == "code" && len(line) == 7:
			found[line[1]] = readInstalled(line)
		default:
			return nil, fmt.Errorf("which code %s runs: cannot read %q", service.Name, strings.Join(line, "\t"))
		}
	}
	all := make([]tree.Code, 0, len(processes))
	for _, process := range processes {
		code, known := found[process.Unit]
		switch {
		case known:
			all = append(all, code.runBy(process, service.Name, clock))
		case unknown[process.Unit] != "":
			all = append(all, tree.Code{Package: service.Name, Unknown: unknown[process.Unit]})
		default:
			all = append(all, tree.Code{Package: service.Name, Unknown: "nothing is known of its unit"})
		}
	}
	return all, nil
}

// unit finds a unit by its name; what was seen last counts.
func (c *Cloud) unit(name string) unit {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, side := range []config.Side{config.Target, config.Base} {
		if at := slices.IndexFunc(c.saved.Units[side], func(one unit) bool { return one.Name == name }); at >= 0 {
			return c.saved.Units[side][at]
		}
	}
	return unit{Name: name}
}

// interpreter says how the unit's Python is found: by a virtual environment that the command names, as DevStack gives it to
// uWSGI; uWSGI without one has the system's; else by the project's program that is started.
func (u unit) interpreter(project string) (how, where string) {
	words := strings.Fields(u.Command)
	for i, word := range words {
		name, value, joined := strings.Cut(word, "=")
		if name != "--venv" && name != "--virtualenv" && name != "-H" {
			continue
		}
		if !joined && i+1 < len(words) {
			value = words[i+1]
		}
		if value != "" {
			return "venv", value
		}
	}
	if len(words) > 0 && strings.HasPrefix(path.Base(words[0]), "uwsgi") {
		return "system", "-"
	}
	if word := strings.Trim(u.word(project), `'"`); path.IsAbs(word) {
		return "program", word
	}
	return "program", "/nowhere"
}

// installed is what a Python says of a distribution.
type installed struct {
	name, version, place, commit string
	at                           int64 // seconds since 1970; 0: not known
}

// clock is what turns the start of a process into a time.
type clock struct{ boot, ticks int64 }

func readClock(line []string) (clock, error) {
	boot, err := strconv.ParseInt(line[1], 10, 64)
	if err != nil {
		return clock{}, fmt.Errorf("boot of the machine: %w", err)
	}
	ticks, err := strconv.ParseInt(line[2], 10, 64)
	if err != nil || ticks <= 0 {
		return clock{}, fmt.Errorf("ticks of a second: cannot read %q: %w", line[2], err)
	}
	return clock{boot, ticks}, nil
}

func readInstalled(line []string) installed {
	at, err := strconv.ParseInt(line[6], 10, 64)
	if err != nil {
		at = 0
	}
	return installed{name: line[2], version: line[3], place: line[4], commit: line[5], at: at}
}

// slack is by how many seconds the kernel's boot time and the file system's clock may differ.
const slack = 2

// runBy says what of it the process runs.
func (i installed) runBy(process probe.Process, project string, at clock) tree.Code {
	code := tree.Code{Package: project}
	started := at.boot + int64(process.StartTime)/at.ticks
	switch {
	case i.commit == "-":
		code.Unknown = fmt.Sprintf("%s %s was installed from no git checkout (%s)", i.name, i.version, i.place)
	case i.at == 0:
		code.Unknown = fmt.Sprintf("when %s %s was installed is not known", i.name, i.version)
	case started+slack < i.at:
		code.Version = fmt.Sprintf("older than %s, which was installed %d s after it had started", version(i.commit, i.place), i.at-started)
	default:
		code.Version = version(i.commit, i.place)
	}
	return code
}
