package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// computeLeftAtBase makes nova's upgrade.sh end with a nova-compute of the base
// release: an upgrade that forgot the compute host.
func computeLeftAtBase() sabotage {
	return sabotage{
		name:     "nova-compute is left at base",
		on:       compute(),
		expected: harness.Row{Phase: upgrade, Project: nova},
		catcher:  byProof,
		shown:    marker,
		when:     started(create),
		act: func(_ context.Context, s scene) (string, error) {
			path, err := scriptOf(s.site, nova, "upgrade.sh")
			if err != nil {
				return "", err
			}
			return "appended to " + path, rewrite(path, func(script string) string {
				return script + `
sudo rm /etc/systemd/system/nova-compute.service.d/target.conf
sudo systemctl daemon-reload
sudo systemctl restart nova-compute.service
echo '` + marker + ` nova-compute runs from base'
`
			})
		},
	}
}
