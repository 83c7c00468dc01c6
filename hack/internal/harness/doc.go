// Package harness is what the tools that attack a run from outside share: it
// starts hack/upgrade, follows the run's journal, finds the run's processes,
// reaches into its node, and tells what a run left on the host and what verdict it
// wrote. It reads the files that a run publishes and /proc, and shares no code with
// the suite, so that a mistake there cannot hide here.
package harness
