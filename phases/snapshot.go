package phases

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"grenade/framework/config"
	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/plugins"
	"grenade/resources"
)

// snapshot saves what the project would need to go back: by the plugin's own
// snapshot.sh if it has one, else its databases and configuration.
func (r *Run) snapshot(ctx context.Context, row Row) error {
	if r.foreign != nil {
		return r.command(ctx, row, "snapshot.sh")
	}
	plugin, _ := r.Plan.Plugin(row.Project)
	state, err := plugins.StateOf(plugin.Script("snapshot.sh"))
	if err != nil {
		return fmt.Errorf("snapshot.sh of %s: %w", row.Project, err)
	}
	if state == plugins.Present {
		return r.script(ctx, row, "snapshot.sh", "pre_upgrade")
	}
	unsaved := r.saveDatabases(ctx, row, config.Base)
	if unsaved != nil && !resources.IsNotChecked(unsaved) {
		return unsaved
	}
	if err := r.saveConfig(ctx, row); err != nil {
		return err
	}
	return unsaved
}

// dumpEnd is the last line of a complete dump (MariaDB's mysqldump writes it
// last, unless --skip-comments is given).
const dumpEnd = "-- Dump completed"

// dumpDatabase writes what mysqldump says, with the other arguments, to its first.
const dumpDatabase = `umask 077; out=$1; shift; exec mysqldump "$@" >"$out"`

// saveDatabases dumps each database that the project registers to
// $SAVE_DIR/<database>.sql.<release>, and holds when the dump is complete.
func (r *Run) saveDatabases(ctx context.Context, row Row, side config.Side) error {
	databases, access := r.settings.Databases[row.Project], r.cloud.Access()
	if len(databases) > 0 && access.Unsaved != "" {
		return &resources.NotChecked{Reason: access.Unsaved}
	}
	for _, database := range databases {
		release := r.Config.Base
		if side == config.Target {
			release = r.Config.Target
		}
		path := filepath.Join(r.Config.SaveDir, database+".sql."+release.Name)
		r.progress.Waiting("dump of the database " + database)
		_, err := r.cloud.Node().Run(ctx, node.Command{Command: exec.Command{
			Args: append(append([]string{"sh", "-c", dumpDatabase, "sh", path}, access.SQL...), "--single-transaction", "--databases", database),
			Log:  r.LogFile(row.Phase.ID, row.Project), Timeout: r.Config.ScriptTimeout,
		}})
		if err != nil {
			return fmt.Errorf("dump the database %s: %w", database, err)
		}
		dump, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("dump of the database %s: %w", database, err)
		}
		if lines := bytes.Split(bytes.TrimRight(dump, "\n"), []byte("\n")); !bytes.HasPrefix(lines[len(lines)-1], []byte(dumpEnd)) {
			return &Unmet{
				What: fmt.Sprintf("the dump of the database %s is cut short", database),
				Want: fmt.Sprintf("%s ends with %q", path, dumpEnd),
				Saw:  string(lines[len(lines)-1]),
			}
		}
	}
	return nil
}

// archiveConfig writes an archive, its first argument, of those of the others
// that are there, below /etc: not every release has every file.
const archiveConfig = `umask 077; out=$1; shift
for name in "$@"; do shift; [ ! -e "/etc/$name" ] || set -- "$@" "$name"; done
exec tar -C /etc -cf "$out" --files-from=/dev/null -- "$@"`

// saveConfig keeps the project's operator-owned configuration as
// $SAVE_DIR/snapshots/<project>.tar.
func (r *Run) saveConfig(ctx context.Context, row Row) error {
	service, known := r.cloud.Service(row.Project, config.Base)
	if !known || len(service.Config) == 0 {
		return nil
	}
	path := filepath.Join(r.Config.SaveDir, "snapshots", row.Project+".tar")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("snapshot of %s: %w", row.Project, err)
	}
	_, err := r.cloud.Node().Run(ctx, node.Command{Command: exec.Command{
		Args: append([]string{"sh", "-c", archiveConfig, "sh", path}, service.Config...),
		Log:  r.LogFile(row.Phase.ID, row.Project), Timeout: r.Config.ScriptTimeout,
	}})
	if err != nil {
		return fmt.Errorf("save the configuration of %s: %w", row.Project, err)
	}
	return nil
}
