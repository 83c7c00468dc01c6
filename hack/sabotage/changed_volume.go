package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// changedVolume changes the bytes of every volume's file while cinder is down.
func changedVolume() sabotage {
	return sabotage{
		name:     "volumes' content changes while the services are down",
		on:       volume(),
		expected: harness.Row{Phase: verifyNoAPI, Project: cinder},
		catcher:  byChecks,
		shelled:  true,
		when:     reached(shutdown, cinder, passed),
		act: func(ctx context.Context, s scene) (string, error) {
			return s.inside.Bash(ctx, `
				# The directory is that of the NFS driver's list of shares.
				count=0
				for share in $(sed 's/^[^:]*://' /etc/cinder/nfs_shares); do
					while IFS= read -r -d '' file; do
						# Every stretch that is not a hole.
						python3 - "$file" <<'PYTHON'
import os, sys
with open(sys.argv[1], "r+b", buffering=0) as file:
    end, at = os.fstat(file.fileno()).st_size, 0
    while at < end:
        try:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError:
            break
        hole = os.lseek(file.fileno(), at, os.SEEK_HOLE)
        while at < hole:
            os.pwrite(file.fileno(), b"sabotage", at)
            at += 4096
    os.fsync(file.fileno())
PYTHON
						count=$((count + 1))
					done < <(find "$share" -type f -name 'volume-*' -print0)
				done
				((count > 0)) || { echo "no volume to change" >&2; exit 1; }
				echo "$count volume files changed"`)
		},
	}
}
