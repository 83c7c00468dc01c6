package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// serviceLeftRunning makes placement's shutdown.sh succeed without stopping
// anything, so that the service runs on through the upgrade.
func serviceLeftRunning() sabotage {
	return sabotage{
		name:     "placement is left running through shutdown",
		on:       identity(),
		expected: harness.Row{Phase: shutdown, Project: placement},
		catcher:  byProof,
		shown:    marker,
		when:     started(create),
		act: func(_ context.Context, s scene) (string, error) {
			path, err := scriptOf(s.site, placement, "shutdown.sh")
			if err != nil {
				return "", err
			}
			return "replaced " + path, rewrite(path, func(string) string { return doingNothing("shutdown.sh") })
		},
	}
}
