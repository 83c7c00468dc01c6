package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// rebootedGuest resets every guest when nova's upgrade begins: the same QEMU, the same
// address, and another boot.
func rebootedGuest() sabotage {
	return sabotage{
		name:     "guests are rebooted during the upgrade",
		on:       compute(),
		expected: harness.Row{Phase: verifyPost, Project: nova},
		catcher:  byChecks,
		shelled:  true,
		when:     reached(upgrade, nova, harness.Started),
		act: func(ctx context.Context, s scene) (string, error) {
			return s.inside.Bash(ctx, `
				guests=$(virsh --quiet list --name | sed '/^$/d')
				[[ -n $guests ]] || { echo "no guest to reboot" >&2; exit 1; }
				for guest in $guests; do virsh --quiet reset "$guest"; done
				echo "reset: $guests"`)
		},
	}
}
