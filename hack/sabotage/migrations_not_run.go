package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// migrationsNotRun gives the target's tree a nova-manage that says of online data
// migrations that there is nothing to do, and does nothing.
func migrationsNotRun() sabotage {
	return sabotage{
		name:     "nova's online data migrations are not run",
		on:       compute(),
		expected: harness.Row{Phase: verifyPost, Project: nova},
		catcher:  byChecks,
		when:     reached(upgrade, nova, harness.Started),
		act: func(ctx context.Context, s scene) (string, error) {
			return s.inside.Bash(ctx, `
				manage=`+s.site.StackRoot+`/new/devstack/bin/nova-manage
				[[ -x $manage ]] || { echo "no $manage to replace" >&2; exit 1; }
				mv "$manage" "$manage.real"
				cat >"$manage" <<'BASH'
#!/bin/bash
if [[ $* == *online_data_migrations* ]]; then echo 'sabotaged from outside: nothing is migrated'; exit 0; fi
exec "$0.real" "$@"
BASH
				chmod 755 "$manage"
				echo "replaced $manage"`)
		},
	}
}
