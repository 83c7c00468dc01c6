package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// truncatedImage cuts every image file to half its length once glance is down.
func truncatedImage() sabotage {
	return sabotage{
		name:     "glance's image files are truncated while it is down",
		on:       identity(),
		expected: harness.Row{Phase: verifyNoAPI, Project: glance},
		catcher:  byChecks,
		shelled:  true,
		when:     reached(shutdown, glance, passed),
		act: func(ctx context.Context, s scene) (string, error) {
			// The directory is that of Debian's glance-common.
			return s.inside.Bash(ctx, `
				count=0
				while IFS= read -r -d '' file; do
					size=$(stat -c %s "$file")
					truncate -s $((size / 2)) "$file"
					echo "$file: $size bytes cut to half"
					count=$((count + 1))
				done < <(find /var/lib/glance/images -maxdepth 1 -type f -size +1c -print0)
				((count > 0)) || { echo "no image file to truncate" >&2; exit 1; }`)
		},
	}
}
