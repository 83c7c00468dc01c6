package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// upgradeThatDoesNothing replaces glance's upgrade.sh by a script that succeeds
// without doing anything: the old code is never stopped being used. The field's worst
// false green.
func upgradeThatDoesNothing() sabotage {
	return sabotage{
		name:     "glance's upgrade.sh does nothing",
		on:       identity(),
		expected: harness.Row{Phase: upgrade, Project: glance},
		catcher:  byProof,
		shown:    marker,
		when:     started(create),
		act: func(_ context.Context, s scene) (string, error) {
			path, err := scriptOf(s.site, glance, "upgrade.sh")
			if err != nil {
				return "", err
			}
			return "replaced " + path, rewrite(path, func(string) string { return doingNothing("upgrade.sh") })
		},
	}
}
