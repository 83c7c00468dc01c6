package resources

import (
	"errors"
	"fmt"
	"strings"
)

// NotChecked says that a check leaves a phase empty, and why. It is neither
// success nor failure; find it with errors.As.
type NotChecked struct {
	// Reason is a phrase that fits after "not checked: ".
	Reason string
}

// Error implements error.
func (n *NotChecked) Error() string { return "not checked: " + n.Reason }

// IsNotChecked says whether that is what the error says.
func IsNotChecked(err error) bool {
	var reason *NotChecked
	return errors.As(err, &reason)
}

// Absent stands in a Change for "there is none".
const Absent = "(absent)"

// Change is one attribute that is not as create saved it.
type Change struct {
	// Attribute is the object and the path in it: "user.description".
	Attribute string
	// Saved and Seen are the two values as JSON, or Absent.
	Saved, Seen string
}

// String returns "attribute: saved → seen".
func (c Change) String() string {
	return fmt.Sprintf("%s: %s → %s", c.Attribute, c.Saved, c.Seen)
}

// Difference is the verdict that something did not survive as it was.
type Difference struct {
	// Subject is what was compared: "keystone, post-upgrade".
	Subject string
	// Changes are in the order in which they were found; never empty.
	Changes []Change
}

// Error implements error: one line with every change.
func (d *Difference) Error() string {
	lines := make([]string, 0, len(d.Changes))
	for _, change := range d.Changes {
		lines = append(lines, change.String())
	}
	return fmt.Sprintf("%s: not as create saved it: %s", d.Subject, strings.Join(lines, "; "))
}

// Expected returns one line "attribute: value" per change, as create saved it.
func (d *Difference) Expected() string {
	return d.lines(func(c Change) string { return c.Saved })
}

// Seen returns one line "attribute: value" per change, as it is now.
func (d *Difference) Seen() string {
	return d.lines(func(c Change) string { return c.Seen })
}

func (d *Difference) lines(value func(Change) string) string {
	lines := make([]string, 0, len(d.Changes))
	for _, change := range d.Changes {
		lines = append(lines, change.Attribute+": "+value(change))
	}
	return strings.Join(lines, "\n")
}
