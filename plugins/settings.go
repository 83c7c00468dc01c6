package plugins

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/framework/tree"
)

// loadSettings is the driver below GRENADE_DIR that sources settings, loadExit
// and loadError its traps, whose calls bash attributes to the settings.
const (
	loadSettings = "load-settings"
	loadExit     = "_load_exit"
	loadError    = "_load_error"
)

// Runner runs a command in the node; node.Node is one.
type Runner interface {
	Run(ctx context.Context, command node.Command) (exec.Result, error)
}

// SettingsInput says whose settings run, and with what.
type SettingsInput struct {
	// Plugins is what Scan found, in upgrade order.
	Plugins []Plugin
	// External are the directories of out-of-tree plugins, in pluginrc's order.
	// Only needed for those whose settings register nothing as text.
	External []string
	// GrenadeDir must have been written by Materialise.
	GrenadeDir string
	// ProjectsDir holds the plugins that take the place of the in-tree ones; "" is
	// none.
	ProjectsDir string
	// User is the user of the node that runs them; "" is stack.
	User string
	// SaveDir is $SAVE_DIR, at the same path on this host and in the node.
	SaveDir string
	// TopDir is the target tree, where the driver runs.
	TopDir string
	// Environ is the complete environment. ENABLED_SERVICES in it says what base
	// runs; without it the base tree's stackrc is asked.
	Environ map[string]string
	// Log is the file that the settings' output is appended to.
	Log string
	// Timeout is the limit for all settings together; 0 leaves it to the context.
	Timeout time.Duration
}

// Settings is what the plugins' settings said, all of them run.
type Settings struct {
	// Order is UPGRADE_PROJECTS: the authoritative order of upgrade.
	Order []string `json:"order"`
	// PluginDir is where each project's scripts are.
	PluginDir map[string]string `json:"pluginDir"`
	// Databases are those that the settings of a project have registered. A
	// settings file without a project has them under "".
	Databases map[string][]string `json:"databases"`
	// Exports are the variables that settings exported, or changed: they belong
	// into the environment of every script.
	Exports map[string]string `json:"exports"`
	// Values of the variables as they stand at the end, exported or not. Empty
	// means unset.
	BaseRunSmoke    string `json:"baseRunSmoke"`
	TargetRunSmoke  string `json:"targetRunSmoke"`
	VerifyResources string `json:"verifyResources"`
	EnableTempest   string `json:"enableTempest"`
	// Localrc is what settings add to each side's localrc, in their order.
	Localrc map[config.Side][]tree.LocalrcLine `json:"localrc"`
	// Dropped says, for each planned project that is not in Order, where that
	// was decided, as file:line.
	Dropped map[string]string `json:"dropped"`
}

// LoadSettings runs the settings in the node as user stack, one after the other
// in one bash: in-tree plugins first, then the others. It leaves its working
// files (settings.result, settings.result.trace, devstack_localrc.*) in SaveDir.
//
// A settings file that fails is a config.Mistake with the line of that file
// that was being run, and the exit code.
func LoadSettings(ctx context.Context, runner Runner, in SettingsInput) (*Settings, error) {
	result := filepath.Join(in.SaveDir, "settings.result")
	if err := os.Remove(result); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("settings: %w", err)
	}
	files, err := settingsFiles(in)
	if err != nil {
		return nil, err
	}
	env := []string{"GRENADE_SAVE_DIR=" + in.SaveDir}
	for name, value := range in.Environ {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	user := in.User
	if user == "" {
		user = "stack"
	}
	ran, runErr := runner.Run(ctx, node.Command{User: user, Command: exec.Command{
		Args: append([]string{filepath.Join(in.GrenadeDir, loadSettings), result}, files...),
		Dir:  in.TopDir, Env: env, Log: in.Log, Timeout: in.Timeout,
	}})
	records, err := readRecords(result, 3)
	if err != nil {
		return nil, errors.Join(runErr, err)
	}
	gone := newDropped(in.Plugins, files, records)
	var commands []traced // of settings that failed
	failed := runErr != nil || !finished(records)
	err = readSettingsTrace(result+".trace", in.TopDir, func(command traced) {
		gone.see(command)
		if failed {
			commands = append(commands, command.kept())
		}
	})
	if err != nil {
		return nil, errors.Join(runErr, err)
	}
	if failed {
		return nil, settingsFailure(records, commands, ran, runErr)
	}
	settings, err := parseSettings(in, records)
	if err != nil {
		return nil, err
	}
	for _, side := range []config.Side{config.Base, config.Target} {
		if settings.Localrc[side], err = readLocalrcLines(in.SaveDir, side); err != nil {
			return nil, err
		}
	}
	settings.Dropped = gone.places()
	return settings, nil
}

// settingsFiles lists the settings files in order, each once.
func settingsFiles(in SettingsInput) ([]string, error) {
	var dirs []string
	var err error
	if in.ProjectsDir != "" {
		dirs, err = projectDirs(in.ProjectsDir)
	} else {
		dirs, err = inTreeDirs()
		for i, name := range dirs {
			dirs[i] = filepath.Join(in.GrenadeDir, projectsDir, name)
		}
	}
	if err != nil {
		return nil, err
	}
	dirs = append(dirs, in.External...)
	dirs = append(dirs, dirsOf(in.Plugins)...)
	var found []string
	for _, dir := range dirs {
		if file := filepath.Join(dir, settingsName); !slices.Contains(found, file) {
			found = append(found, file)
		}
	}
	return found, nil
}

// readRecords reads fields that NUL ends, in records of so many. A record that
// was cut short is left out.
func readRecords(path string, fields int) ([][]string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	all := strings.Split(string(content), "\x00")
	var records [][]string
	for ; len(all) > fields; all = all[fields:] {
		records = append(records, all[:fields])
	}
	return records, nil
}

// readSettingsTrace calls each with what the settings ran, in order.
func readSettingsTrace(path, dir string, each func(traced)) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	defer func() { _ = file.Close() }()
	if _, err = eachTraced(file, []string{dir}, each); err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	return nil
}

func finished(records [][]string) bool {
	return slices.ContainsFunc(records, func(record []string) bool { return record[0] == "end" })
}

// settingsFailure says which settings file failed, at which of its lines.
func settingsFailure(records [][]string, commands []traced, ran exec.Result, runErr error) error {
	file, code := "", strconv.Itoa(ran.ExitCode)
	for _, record := range records {
		switch record[0] {
		case "settings":
			file = record[1]
		case "exit":
			code = record[1]
		}
	}
	if file == "" {
		return fmt.Errorf("%s failed before any settings ran: %w", loadSettings, runErr)
	}
	mistake := &config.Mistake{File: file, Message: "these settings ended with exit code " + code}
	var last traced
	for _, command := range commands {
		if command.file == file && command.name() != loadExit && command.name() != loadError {
			mistake.Line, last = command.line, command
		}
	}
	for _, record := range records {
		// The trace tells of exit, but of nothing when the settings have switched it off.
		if line, err := strconv.Atoi(record[2]); err == nil && record[0] == "error" && last.name() != "exit" {
			mistake.Line = line
		}
	}
	if other, project := registeredBefore(last, commands); other != "" {
		mistake.Message = fmt.Sprintf("two plugins register %s: %s and %s", project, other, filepath.Dir(file))
	}
	var failed *exec.Error
	if errors.As(runErr, &failed) && (failed.TimedOut || failed.Cancelled) {
		mistake.Message = "these settings did not end in time"
	}
	if runErr == nil {
		mistake.Message = "these settings ended the shell that loads all settings (exit " + code + ")"
		return mistake
	}
	return fmt.Errorf("%w: %w", mistake, runErr)
}

// registeredBefore returns the directory of another plugin that has registered
// the project that the command, the last one of the settings, registers.
func registeredBefore(last traced, commands []traced) (dir, project string) {
	project, found := strings.CutPrefix(last.text, registerFunction+" ")
	if !found {
		return "", ""
	}
	for _, command := range commands {
		if command.text == last.text && command.file != last.file {
			return filepath.Dir(command.file), project
		}
	}
	return "", ""
}

func parseSettings(in SettingsInput, records [][]string) (*Settings, error) {
	settings := &Settings{
		PluginDir: map[string]string{}, Databases: map[string][]string{}, Exports: map[string]string{},
		Localrc: map[config.Side][]tree.LocalrcLine{}, Dropped: map[string]string{},
	}
	var mistakes []error
	variables := map[string]string{}
	for _, record := range records {
		switch name, value := record[1], record[2]; record[0] {
		case "project":
			if value == "" {
				mistakes = append(mistakes, &config.Mistake{Message: fmt.Sprintf("UPGRADE_PROJECTS names %s, which no settings file registers", name)})
			}
			if !slices.Contains(settings.Order, name) {
				settings.Order = append(settings.Order, name)
				settings.PluginDir[name] = value
			}
		case "database":
			project := registeredBy(in.Plugins, value)
			if !slices.Contains(settings.Databases[project], name) {
				settings.Databases[project] = append(settings.Databases[project], name)
			}
		case "variable":
			variables[name] = value
		case "export":
			settings.Exports[name] = value
		}
	}
	settings.BaseRunSmoke, settings.TargetRunSmoke = variables["BASE_RUN_SMOKE"], variables["TARGET_RUN_SMOKE"]
	settings.VerifyResources, settings.EnableTempest = variables["VERIFY_RESOURCES"], variables["ENABLE_TEMPEST"]
	return settings, errors.Join(mistakes...)
}

// registeredBy is the first project of a settings file, "" when it has none.
func registeredBy(plugins []Plugin, settingsFile string) string {
	for _, plugin := range plugins {
		if plugin.SettingsFile == settingsFile {
			return plugin.Project
		}
	}
	return ""
}

func readLocalrcLines(saveDir string, side config.Side) ([]tree.LocalrcLine, error) {
	records, err := readRecords(filepath.Join(saveDir, "devstack_localrc."+string(side)), 3)
	if err != nil {
		return nil, err
	}
	var lines []tree.LocalrcLine
	for _, record := range records { // settings file, line, text
		number, err := strconv.Atoi(record[1])
		if err != nil {
			return nil, fmt.Errorf("settings: devstack_localrc of %s: line %q: %w", record[0], record[1], err)
		}
		lines = append(lines, tree.LocalrcLine{SettingsFile: record[0], Line: number, Text: record[2]})
	}
	return lines, nil
}
