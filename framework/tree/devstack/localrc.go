package devstack

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"grenade/framework/config"
)

// localrc is what a side's tree is told before the user's files and plugins say more, as upstream's
// devstack.local.conf.base and .target do; but passwords are random, and what belongs to GNU screen is left out.
func (c *Cloud) localrc(side config.Side) string {
	settings := c.options.Config
	dest, data := releaseDir(settings, side), filepath.Join(settings.StackRoot, "data")
	var text strings.Builder
	set := func(name, value string) {
		fmt.Fprintf(&text, "%s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	set("DEST", dest)
	set("DATA_DIR", data)
	set("STACK_USER", settings.StackUser)
	set("GIT_BASE", settings.GitBase)
	set("LOGFILE", c.logFile(side))
	set("LOGDAYS", "1")
	set("SERVICE_TIMEOUT", fmt.Sprintf("%.0f", settings.ServiceTimeout.Seconds()))
	set("RABBIT_HOST", "localhost")
	set("FLOATING_RANGE", settings.FloatingRange.String())
	if settings.Node == config.Nspawn {
		set("HOST_IP", c.node.Address())
	}
	// One RabbitMQ for all cells, because nothing here sets up several.
	set("CELLSV2_SETUP", "singleconductor")
	for _, name := range slices.Sorted(maps.Keys(c.saved.Passwords)) {
		set(name, c.saved.Passwords[name])
	}
	// Scripts that save databases look for it in stackrc, which does not know it otherwise.
	set("DATABASE_TYPE", "mysql")
	// Older libs know no other name for it.
	set("MYSQL_PASSWORD", c.saved.Passwords["DATABASE_PASSWORD"])
	text.WriteString("enable_service s-proxy s-object s-container s-account\n")
	set("SWIFT_REPLICAS", "1")
	set("SWIFT_DATA_DIR", filepath.Join(data, "swift"))
	return text.String()
}

// logFile is where a side's stack.sh keeps its log.
func (c *Cloud) logFile(side config.Side) string {
	return filepath.Join(releaseDir(c.options.Config, side), "logs", "stack.sh.log")
}
