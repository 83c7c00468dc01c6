package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// droppedExtraSpec deletes the flavors' extra specs from nova's database when nova has
// been upgraded. The shelled check's flavor has none.
func droppedExtraSpec() sabotage {
	return sabotage{
		name:     "a flavor's extra specs vanish from the database",
		on:       compute(),
		expected: harness.Row{Phase: verifyPost, Project: nova},
		catcher:  byChecks,
		when:     reached(upgrade, nova, passed),
		act: func(ctx context.Context, s scene) (string, error) {
			return s.inside.Bash(ctx, `
				count=$(mysql -N nova_api -e 'SELECT COUNT(*) FROM flavor_extra_specs')
				((count > 0)) || { echo "no extra spec to drop" >&2; exit 1; }
				mysql nova_api -e 'DELETE FROM flavor_extra_specs'
				echo "$count rows of nova_api.flavor_extra_specs deleted"`)
		},
	}
}
