package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// deletedRow deletes the role assignments of the check's user from keystone's
// database when keystone has been upgraded and the others have not. The shelled check
// has a user of its own and does not notice.
func deletedRow() sabotage {
	return sabotage{
		name:     "a row of keystone's database is deleted during the upgrade",
		on:       identity(),
		expected: harness.Row{Phase: verifyPost, Project: keystone},
		catcher:  byChecks,
		when:     reached(upgrade, keystone, passed),
		act: func(ctx context.Context, s scene) (string, error) {
			// The users of keystone's native check are named grenade-…keystone…;
			// assignment.actor_id is a user's or a group's id.
			return s.inside.Bash(ctx, `
				users="SELECT user_id FROM local_user WHERE name LIKE 'grenade-%keystone%'"
				count=$(mysql -N keystone -e "SELECT COUNT(*) FROM assignment WHERE actor_id IN ($users)")
				((count > 0)) || { echo "the check's user has no role assignment to delete" >&2; exit 1; }
				mysql keystone -e "DELETE FROM assignment WHERE actor_id IN ($users)"
				echo "$count rows of keystone.assignment deleted"`)
		},
	}
}
