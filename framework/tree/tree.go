// Package tree holds the words that every kind of DevStack-shaped tree shares:
// what a service is, how a unit differs between two releases, how the cloud's
// administrator gets in. The kinds themselves are in the packages below.
package tree

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Service is how a tree runs one project.
type Service struct {
	// Name is the project's name, and that of the tree's lib file.
	Name string
	// Requires are the projects whose services this one needs to work.
	Requires []string
	// Enabled are the names that stand for it in ENABLED_SERVICES.
	Enabled []string
	// Units are the systemd units of its control plane, without ".service".
	Units []string
	// Helpers are, by unit, the names of the programs that the unit starts for
	// the data plane and that run on when it is stopped: dnsmasq, haproxy.
	Helpers map[string][]string
	// Packages are the packages that carry its code.
	Packages []string
	// Port is where its API listens, 0 when it has none.
	Port int
	// Health is the path that its API answers to somebody without a token;
	// empty: its root.
	Health string
	// URL is where its API answers, when Port and Health do not say it: behind a web server, whose process is the one
	// that listens.
	URL string
	// Config are its operator-owned configuration files, relative to /etc.
	Config []string
	// Leaves is what the project's own plugin is known to leave behind.
	Leaves []Leftover
	// Unproved says why the tree cannot tell what runs for it: which units, where its API is. What was done then may
	// have worked, but nobody has looked. Empty: it can.
	Unproved string
}

// Helper tells whether a process of the unit that runs this file is one of the
// data plane's programs that outlive it.
func (s Service) Helper(unit, exe string) bool {
	// The kernel says so of a file that was replaced meanwhile (proc(5)).
	return slices.Contains(s.Helpers[unit], path.Base(strings.TrimSuffix(exe, " (deleted)")))
}

// Script is what a cloud that is seen from outside has in the place of a plugin's
// script.
type Script struct {
	// Commands run on this machine, one after the other; none when there is nothing.
	Commands [][]string
	// Missing says why nothing stands in the script's place, or nothing that does what it would do.
	Missing string
}

// Leftover is something that a plugin makes and does not remove. Whoever runs
// plugins as they are has to live with it; nobody else's may be there.
type Leftover struct {
	// Kind is what inventories call it ("user"), Name its name.
	Kind, Name string
	// Reason says why it stays.
	Reason string
}

// LocalrcLine is something that a plugin's settings add to a side's localrc.
type LocalrcLine struct {
	// SettingsFile is the settings file that asked for it, Line where it does
	// (for a text over several lines, where bash says that it stands).
	SettingsFile string
	Line         int
	// Text may hold several lines, and may open sections of its own.
	Text string
}

// Checkout is a repository of a plugin, to be seen in the node at the path that
// it has on this machine. Scripts look for it in the releases' directories, too:
// DevStack clones every project there.
type Checkout struct {
	// Name is what it is called below the releases' directories; "" is nothing: it is only shown.
	Name string
	// Dir is the checkout; BaseDir one of the base release, or Dir again.
	Dir, BaseDir string
	// ReadOnly: it is somebody's own directory, and must not be written to.
	ReadOnly bool
	// Give: it is ours, and is given to the node's user stack.
	Give bool
}

// UnitDifference is how the units of one service differ between two releases.
type UnitDifference struct {
	Service string
	Unit    string
	// Change says what differs, for example "added" or "ExecStart".
	Change string
	// Base and Target are what the unit says on either side, if it is there.
	Base, Target string
	// Reason is the declared reason; empty means that nobody declared it.
	Reason string
}

// String is the difference as one line.
func (d UnitDifference) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: unit %s: %s", d.Service, d.Unit, d.Change)
	if d.Base != "" || d.Target != "" {
		fmt.Fprintf(&text, ": %q -> %q", d.Base, d.Target)
	}
	if d.Reason == "" {
		text.WriteString(" (undeclared)")
	} else {
		fmt.Fprintf(&text, " (declared: %s)", d.Reason)
	}
	return text.String()
}

// Access is how the cloud's administrator gets in.
type Access struct {
	// AuthURL is the identity service's v3 endpoint.
	AuthURL string
	Region  string
	// Username, Password and Project are the administrator's. The domains are names,
	// "" is Default.
	Username, Password, Project string
	UserDomain, ProjectDomain   string
	// PublicNetwork, GuestImage and GuestFlavor are the names of what checks use; ""
	// is what DevStack calls them.
	PublicNetwork, GuestImage, GuestFlavor string
	// SQL are the options with which MySQL's programs get in on the node; none: root
	// gets in by their socket. Unsaved says why databases cannot be saved by them.
	SQL     []string
	Unsaved string
	// Elsewhere says why checks that know one kind of cloud must not look for its
	// files on the node, Guestless why it has no guests that testify; empty: they may,
	// and it has.
	Elsewhere, Guestless string
	// Secrets are the values that must not appear in anything published.
	Secrets []string
}

// UnitReport is how the units of a cloud's services differ between the two
// releases.
type UnitReport struct {
	// Differences has a text for each service, also for one without any.
	Differences []string
	// Undeclared has a sentence for each service with a difference that nobody
	// declared, or a declaration that explains nothing.
	Undeclared []string
}
