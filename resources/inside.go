package resources

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"grenade/framework/exec"
	"grenade/framework/node"
)

// Node is the way into the machine where the services run; framework/node's
// nodes satisfy it.
type Node interface {
	// Output runs a command and returns its standard output.
	Output(ctx context.Context, command node.Command) ([]byte, error)
}

// NoNode is the reason for which VerifyNoAPI is not checked without a Node.
const NoNode = "there is no shell on the cloud's node"

// Inside looks at the node without any API.
type Inside struct {
	Node Node
	SQL  []string
}

// Inside returns the view of the cloud's node, or *NotChecked without one, or
// where nothing lies as the checks know it.
func (c Cloud) Inside() (*Inside, error) {
	if c.Node == nil {
		return nil, &NotChecked{Reason: NoNode}
	}
	if c.Elsewhere != "" {
		return nil, &NotChecked{Reason: c.Elsewhere}
	}
	return &Inside{Node: c.Node, SQL: c.SQL}, nil
}

func (i *Inside) run(ctx context.Context, stdin string, args ...string) (string, error) {
	out, err := i.Node.Output(ctx, node.Command{Command: exec.Command{Args: args, Stdin: []byte(stdin)}, User: "root"})
	return string(out), err
}

// File is what is compared of a file.
type File struct {
	// Size is in bytes.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// File reads a file's size and hash. A file that is not there is *Gone.
func (i *Inside) File(ctx context.Context, path string) (File, error) {
	out, err := i.run(ctx, "", "bash", "-c",
		`set -euo pipefail; [[ -e $1 ]] || { echo missing; exit 0; }; stat -L -c %s -- "$1"; sha256sum < "$1"`, "bash", path)
	if err != nil {
		return File{}, fmt.Errorf("read %s: %w", path, err)
	}
	fields := strings.Fields(out)
	if len(fields) == 1 && fields[0] == "missing" {
		return File{}, &Gone{What: "no file " + path}
	}
	if len(fields) < 2 {
		return File{}, fmt.Errorf("read %s: unexpected output %q", path, out)
	}
	size, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return File{}, fmt.Errorf("read %s: size: %w", path, err)
	}
	return File{Size: size, SHA256: fields[1]}, nil
}

// Lines runs bash as root in the node and returns what it printed, without empty
// lines. The arguments are the script's $1, $2 ….
func (i *Inside) Lines(ctx context.Context, script string, args ...string) ([]string, error) {
	out, err := i.run(ctx, "", append([]string{"bash", "-c", script, "bash"}, args...)...)
	if err != nil {
		return nil, err
	}
	lines := []string{}
	for line := range strings.Lines(out) {
		if line = strings.TrimSuffix(line, "\n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// Hashes returns name → sha256 of every file directly in a directory. A
// directory that is not there is *Gone.
func (i *Inside) Hashes(ctx context.Context, dir string) (map[string]string, error) {
	out, err := i.run(ctx, "", "bash", "-c",
		`set -euo pipefail; [[ -d $1 ]] || { echo missing; exit 0; }; cd -- "$1"; for f in * .[!.]*; do if [[ -f $f ]]; then printf '%s %s\n' "$(sha256sum < "$f" | cut -d' ' -f1)" "$f"; fi; done`, "bash", dir)
	if err != nil {
		return nil, fmt.Errorf("read directory %s: %w", dir, err)
	}
	if strings.TrimSpace(out) == "missing" {
		return nil, &Gone{What: "no directory " + dir}
	}
	hashes := map[string]string{}
	for line := range strings.Lines(out) {
		hash, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok {
			return nil, fmt.Errorf("read directory %s: unexpected line %q", dir, line)
		}
		hashes[name] = hash
	}
	return hashes, nil
}

// Config is an oslo.config file: section → option → value. Of an option that
// stands more than once the last value counts, as in oslo.config.
type Config map[string]map[string]string

// Config reads a configuration file from the node.
func (i *Inside) Config(ctx context.Context, path string) (Config, error) {
	out, err := i.run(ctx, "", "cat", "--", path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return parseConfig(out), nil
}

func parseConfig(text string) Config {
	config := Config{}
	section := "DEFAULT"
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimSpace(line)
		if trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';' {
			continue
		}
		if name, ok := header(trimmed); ok {
			section = name
			continue
		}
		key, value, ok := strings.Cut(trimmed, "=")
		if !ok || line[0] == ' ' || line[0] == '\t' {
			continue // a continued value: none of the options read here is one
		}
		if config[section] == nil {
			config[section] = map[string]string{}
		}
		config[section][strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return config
}

// Get returns an option's value, or the default.
func (c Config) Get(section, option, fallback string) string {
	if value := c[section][option]; value != "" {
		return value
	}
	return fallback
}

// defaultSQL finds the client: MariaDB's releases name it mariadb, mysql, or both.
func defaultSQL() []string {
	return []string{"bash", "-c", `exec "$(command -v mariadb || command -v mysql)" --batch --skip-column-names`}
}

// Rows runs one SELECT in a database, over the local socket as root: it works
// while every API is down. Names come back in UTF-8 whatever the client's
// locale. Each row is its columns joined with "|".
func (i *Inside) Rows(ctx context.Context, database, query string) ([]string, error) {
	command := i.SQL
	if len(command) == 0 {
		command = defaultSQL()
	}
	out, err := i.run(ctx, "SET NAMES utf8mb4;\nUSE `"+database+"`;\n"+query+";\n", command...)
	if err != nil {
		return nil, fmt.Errorf("query database %s: %w", database, err)
	}
	rows := []string{}
	for line := range strings.Lines(out) {
		rows = append(rows, strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", "|"))
	}
	return rows, nil
}

// RowsObject is an Object that holds the rows of a query. Create fails when
// there are none: no rows then would agree with no rows later.
func (i *Inside) RowsObject(name, database, query string) Object {
	return Object{Name: name, Fetch: func(ctx context.Context) (any, error) {
		rows, err := i.Rows(ctx, database, query)
		if err == nil && len(rows) == 0 {
			return nil, &Gone{What: "no rows"}
		}
		return rows, err
	}}
}

var identifier = regexp.MustCompile(`^[0-9A-Za-z_-]+$`)

// Quote makes an SQL string of an id. Nothing but letters, digits, _ and - may
// be in it: ids and this project's own names have nothing else.
func Quote(id string) (string, error) {
	if !identifier.MatchString(id) {
		return "", fmt.Errorf("%q is no id", id)
	}
	return "'" + id + "'", nil
}
