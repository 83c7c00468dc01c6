package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// deletedSecret marks barbican's secrets as deleted in its database before barbican is
// upgraded.
func deletedSecret() sabotage {
	return sabotage{
		name:     "secrets are lost from the database during the upgrade",
		on:       keyManager(),
		expected: harness.Row{Phase: verifyPost, Project: barbican},
		catcher:  byChecks,
		shelled:  true,
		when:     reached(upgrade, barbican, harness.Started),
		act: func(ctx context.Context, s scene) (string, error) {
			return s.inside.Bash(ctx, `
				count=$(mysql -N barbican -e "SELECT COUNT(*) FROM secrets WHERE deleted = 0")
				((count > 0)) || { echo "barbican has no secret" >&2; exit 1; }
				mysql barbican -e "UPDATE secrets SET deleted = 1, deleted_at = NOW() WHERE deleted = 0"
				echo "$count secrets marked as deleted"`)
		},
	}
}
