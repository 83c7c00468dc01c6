package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// replacedKeys puts new fernet keys in place of keystone's while it is down: tokens
// issued before the upgrade can never be valid again.
func replacedKeys() sabotage {
	return sabotage{
		name:     "keystone's fernet keys are replaced while it is down",
		on:       identity(),
		expected: harness.Row{Phase: verifyNoAPI, Project: keystone},
		catcher:  byChecks,
		shelled:  true,
		when:     reached(shutdown, keystone, passed),
		act: func(ctx context.Context, s scene) (string, error) {
			// A fernet key is 32 bytes in URL-safe base64 (the specification of
			// Fernet, "Key Format"); the repository's place is keystone's default.
			return s.inside.Bash(ctx, `
				keys=(/etc/keystone/fernet-keys/*)
				[[ -f ${keys[0]} ]] || { echo "no fernet key to replace" >&2; exit 1; }
				for key in "${keys[@]}"; do
					new=$(head -c 32 /dev/urandom | base64 -w0 | tr '+/' '-_')
					# Written in place: owner and mode stay.
					printf %s "$new" >"$key"
				done
				echo "${#keys[@]} fernet keys replaced"`)
		},
	}
}
