package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// removedZone takes designate's zones from Bind once designate is down: its database
// still has them, and no API is there to ask.
func removedZone() sabotage {
	return sabotage{
		name:     "zones vanish from the name server while designate is down",
		on:       dns(),
		expected: harness.Row{Phase: verifyNoAPI, Project: designate},
		catcher:  byChecks,
		shelled:  true,
		when:     reached(shutdown, designate, passed),
		act: func(ctx context.Context, s scene) (string, error) {
			return s.inside.Bash(ctx, `
				# Where Bind takes commands, and with which key, is in the config that the plugin wrote.
				host=$(sed -n 's/.*inet \([^ ]*\) port.*/\1/p' /etc/bind/named.conf.options)
				zones=$(mysql -N designate -e "SELECT TRIM(TRAILING '.' FROM name) FROM zones WHERE deleted = '0' AND type = 'PRIMARY'")
				[[ -n $zones ]] || { echo "designate has no zone" >&2; exit 1; }
				for zone in $zones; do
					rndc -s "$host" -k /etc/bind/rndc.key delzone "$zone" >/dev/null
					echo "zone $zone removed"
				done`)
		},
	}
}
