package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// removedFloatingIP deletes every floating IP from neutron's database when neutron has
// been upgraded.
func removedFloatingIP() sabotage {
	return sabotage{
		name:     "floating IPs vanish during the upgrade",
		on:       network(),
		expected: harness.Row{Phase: verifyPost, Project: neutron},
		catcher:  byChecks,
		shelled:  true,
		when:     reached(upgrade, neutron, passed),
		act: func(ctx context.Context, s scene) (string, error) {
			return s.inside.Bash(ctx, `
				count=$(mysql -N neutron -e 'SELECT COUNT(*) FROM floatingips')
				((count > 0)) || { echo "no floating IP to remove" >&2; exit 1; }
				mysql neutron -e 'DELETE FROM floatingips'
				echo "$count rows of neutron.floatingips deleted"`)
		},
	}
}
