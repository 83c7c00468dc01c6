package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// killedGuest kills every guest's QEMU when nova's upgrade begins.
func killedGuest() sabotage {
	return sabotage{
		name:     "guests are killed during the upgrade",
		on:       compute(),
		expected: harness.Row{Phase: verifyPost, Project: nova},
		catcher:  byChecks,
		shelled:  true,
		when:     reached(upgrade, nova, harness.Started),
		act: func(ctx context.Context, s scene) (string, error) {
			return s.inside.Bash(ctx, `
				count=0
				for proc in /proc/[0-9]*; do
					if [[ $(readlink "$proc/exe" || :) == */qemu-system-* ]]; then
						kill -KILL "${proc#/proc/}"
						count=$((count + 1))
					fi
				done
				((count > 0)) || { echo "no guest to kill" >&2; exit 1; }
				echo "$count guests killed"`)
		},
	}
}
