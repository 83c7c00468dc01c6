package phases

import "fmt"

// Unmet is an expectation of a phase that did not hold.
type Unmet struct {
	// What is the sentence that says what is wrong.
	What string
	// Want is what was expected, Saw what was seen last.
	Want, Saw string
}

// Error is the whole story in a few lines.
func (u *Unmet) Error() string {
	return fmt.Sprintf("%s: expected %s; saw %s", u.What, u.Want, u.Saw)
}

// Expected is what should have been.
func (u *Unmet) Expected() string { return u.Want }

// Seen is what was.
func (u *Unmet) Seen() string { return u.Saw }
