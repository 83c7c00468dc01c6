// Package config is the room of what the user asked for: it reads the settings
// of a run and says at once everything that is wrong with them.
//
// Names and files are upstream Grenade's. A value comes from the environment,
// else from localrc, else from the table of defaults (settings.go). localrc is
// bash, as upstream's is: it is evaluated, not parsed.
package config
