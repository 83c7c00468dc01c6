package debstack

import "grenade/framework/tree"

// ErrEnvironment and ErrSetting are the classes of this package's errors, as every kind of tree has them.
var (
	ErrEnvironment = tree.ErrEnvironment
	ErrSetting     = tree.ErrSetting
)

func environment(err error) error { return tree.Environment(err) }
func setting(err error) error     { return tree.Setting(err) }
