package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// corruptedObject changes the bytes of every object's file, not their number, once
// swift is down.
func corruptedObject() sabotage {
	return sabotage{
		name:     "swift's objects are corrupted on disk while it is down",
		on:       object(),
		expected: harness.Row{Phase: verifyNoAPI, Project: swift},
		catcher:  byChecks,
		shelled:  true,
		when:     reached(shutdown, swift, passed),
		act: func(ctx context.Context, s scene) (string, error) {
			return s.inside.Bash(ctx, `
				# The devices directory is that of the object server's own config.
				disks=$(sed -n 's/^devices *= *//p' /etc/swift/object-server.conf)
				count=0
				while IFS= read -r -d '' file; do
					printf 'sabotage' | dd of="$file" bs=1 seek=3 conv=notrunc status=none
					count=$((count + 1))
				done < <(find "$disks" -name '*.data' -size +16c -print0)
				((count > 0)) || { echo "no object to corrupt below $disks" >&2; exit 1; }
				echo "8 bytes of each of $count objects changed"`)
		},
	}
}
