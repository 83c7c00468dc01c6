// Package debstack provides the default cloud: a DevStack-shaped tree that installs OpenStack from Debian packages,
// and the root file systems those packages live in.
//
// The room has four corners:
//
//   - roots: [FindMirror] finds a Debian archive, [Cache] builds one [Root] per suite with mmdebstrap and keeps it
//     across runs;
//   - the tree: [Tree] holds the shell that this package embeds and writes it out, composeLocalConf composes the
//     local.conf beside it;
//   - services: [Tree.Services] reads what each lib/<service> declares about itself, and each projects/<project> about what a
//     plugin brings; [Services.Closure] orders them;
//   - units: [UnitDifference] compares the systemd units that two roots ship for a service and judges the difference.
//
// Nothing here knows of phases, plugins or checks.
package debstack
