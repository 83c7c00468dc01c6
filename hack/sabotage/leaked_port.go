package main

import (
	"context"

	"grenade/hack/internal/harness"
)

// leakedPort makes a port that nobody destroys, as a destroy that forgets one would
// leave it: in the database and on the integration bridge.
func leakedPort() sabotage {
	return sabotage{
		name:     "destroy leaks a port",
		on:       network(),
		expected: harness.Row{Phase: leaks, Project: neutron},
		catcher:  byLeaks,
		when:     started(destroy),
		act: func(ctx context.Context, s scene) (string, error) {
			return s.inside.Bash(ctx, `
				ovs-vsctl add-port br-int leaked-by-destroy -- set interface leaked-by-destroy type=internal
				mysql neutron -e "
					INSERT INTO standardattributes (resource_type, created_at, updated_at) VALUES ('ports', NOW(), NOW());
					INSERT INTO ports (id, project_id, name, network_id, mac_address, admin_state_up, status, device_id, device_owner, standard_attr_id, ip_allocation)
						SELECT UUID(), 'nobody', 'leaked-by-destroy', id, 'fa:16:3e:00:00:01', 1, 'DOWN', '', '', LAST_INSERT_ID(), 'none'
						FROM networks WHERE name = 'public'"
				mysql -N neutron -e "SELECT COUNT(*), ' port leaked' FROM ports WHERE name = 'leaked-by-destroy'"`)
		},
	}
}
