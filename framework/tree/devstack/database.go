package devstack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sqlOptions is the file in SAVE_DIR with which MySQL's programs get in as the database's administrator: a password has no
// place in a command line.
const sqlOptions = "mysql.cnf"

// keepDatabase writes down how one gets into the database of the base tree, which both releases use; said is what the tree says of
// its settings. Of another kind of database nothing can be saved.
func (c *Cloud) keepDatabase(said map[string]string) error {
	password := said["DATABASE_PASSWORD"]
	if password == "" {
		password = said["MYSQL_PASSWORD"]
	}
	c.options.Secrets.Add(password)
	if kind := said["DATABASE_TYPE"]; kind != "mysql" {
		c.saved.Unsaved = fmt.Sprintf("databases of type %q cannot be saved", kind)
		return nil
	}
	c.saved.Unsaved = ""
	path := filepath.Join(c.options.Config.SaveDir, sqlOptions)
	var text strings.Builder
	text.WriteString("[client]\n")
	for _, option := range [][2]string{{"user", said["DATABASE_USER"]}, {"password", password}, {"host", said["DATABASE_HOST"]}} {
		if option[1] != "" {
			fmt.Fprintf(&text, "%s=\"%s\"\n", option[0], strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(option[1]))
		}
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("way into the database: %w", err)
	}
	return nil
}
