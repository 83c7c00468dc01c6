package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// deletedRouterNamespace deletes the routers' network namespaces while neutron is down,
// so that nothing forwards any more.
func deletedRouterNamespace() sabotage {
	return sabotage{
		name:     "routers' namespaces are deleted while neutron is down",
		on:       network(),
		expected: harness.Row{Phase: verifyNoAPI, Project: neutron},
		catcher:  byChecks,
		shelled:  true,
		when:     reached(shutdown, neutron, passed),
		act: func(ctx context.Context, s scene) (string, error) {
			return s.inside.Bash(ctx, `
				count=0
				for namespace in $(ip netns list | sed -n 's/^\(qrouter-[^ ]*\).*/\1/p'); do
					ip netns delete "$namespace"
					count=$((count + 1))
				done
				((count > 0)) || { echo "no router's namespace to delete" >&2; exit 1; }
				echo "$count namespaces deleted"`)
		},
	}
}
