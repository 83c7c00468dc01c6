// Package plugins is the room of what projects bring to an upgrade: a directory
// with settings and any of upgrade.sh, shutdown.sh, resources.sh, snapshot.sh.
//
// It fetches plugins of other repositories (Fetch), finds plugins and reads their
// names without running anything (Scan, CheckScripts, Oddities), writes out the
// shell that their scripts source and the in-tree plugins (Materialise), runs
// their settings in the node (LoadSettings), builds the command that runs a script
// (ScriptCommand), and tells from what the script then did whether that was
// nothing (NoOp).
package plugins
