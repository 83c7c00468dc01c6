package tree

import "errors"

// ErrEnvironment marks errors that the machine or its network is to blame for: no archive answers, no disk space, a
// build that failed, not running as root. Callers map it to exit code 3.
var ErrEnvironment = errors.New("environment")

// ErrSetting marks errors that a user mends with a setting or by editing a file: a mirror that is no URL, a branch that
// a repository has not. Callers map it to exit code 2.
var ErrSetting = errors.New("setting")

// classified is an error that belongs to a class without naming it in its text.
type classified struct {
	class error
	err   error
}

func (c *classified) Error() string   { return c.err.Error() }
func (c *classified) Unwrap() []error { return []error{c.err, c.class} }

// Environment makes err one of ErrEnvironment; its text stays.
func Environment(err error) error { return &classified{class: ErrEnvironment, err: err} }

// Setting makes err one of ErrSetting; its text stays.
func Setting(err error) error { return &classified{class: ErrSetting, err: err} }
