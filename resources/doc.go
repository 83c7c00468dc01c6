// Package resources is the room for survival tests: what a project makes before
// the upgrade must be there, unchanged, after it. It holds the interface that
// phases call (Check), the memory that a check keeps between phases (Store,
// Memory), the comparison of what create saved with what is seen now, and the
// check that runs a plugin's resources.sh (Shelled). The native checks, one
// package per service, lie in the folders beside it.
package resources
