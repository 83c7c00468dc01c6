package swift

import (
	"context"
	"encoding/json"
	"fmt"

	"grenade/resources"
)

// A container's totals (objects, bytes) reach its account when
// swift-container-updater comes round. Where the check has a way into the node,
// create lets it come round once, so that the account's totals are known and can
// be compared to the byte; else they are declared as what may differ.

// updateTotals runs the updater once, as the user to whom the disks belong, with
// the configuration of each container server here. A server that no updater is
// configured for gets the defaults.
const updateTotals = `
set -euo pipefail
shopt -s nullglob
updater=$(command -v swift-container-updater) || exit 0
conf=$(mktemp)
trap 'rm -f "$conf"' EXIT
for server in /etc/swift/container-server.conf /etc/swift/container-server/*.conf; do
    [[ -f $server ]] || continue
    cat "$server" >"$conf"
    grep -q '^\[container-updater\]' "$conf" || printf '\n[container-updater]\n' >>"$conf"
    devices=$(sed -n 's/^devices[ \t]*=[ \t]*//p' "$conf" | tail -n 1)
    user=$(stat -c %U "${devices:-/srv/node}"/*/containers | head -n 1)
    chmod 0644 "$conf"
    runuser -u "$user" -- "$updater" "$conf" once >/dev/null
    echo "$server"
done
`

// settleTotals brings the account's totals up to date, and saves whether they are.
func (c *check) settleTotals(ctx context.Context, s *session) error {
	inside, err := c.inside()
	if resources.IsNotChecked(err) {
		return nil
	}
	if err != nil {
		return err
	}
	ran, err := inside.Lines(ctx, updateTotals)
	if err != nil {
		return fmt.Errorf("run swift-container-updater once: %w", err)
	}
	if len(ran) == 0 {
		return nil // its container servers are elsewhere
	}
	settled, err := s.totalsAgree(ctx)
	if err != nil || !settled {
		return err
	}
	s.saved[keySettled] = yes
	return c.memory.Save(ctx, map[string]string{keySettled: yes})
}

// totalsAgree says whether the account knows how many objects its containers hold.
func (s *session) totalsAgree(ctx context.Context) (bool, error) {
	known, err := listing(ctx, s.owner, "")
	if err != nil {
		return false, fmt.Errorf("list the account: %w", err)
	}
	for _, container := range known {
		held, err := listing(ctx, s.owner, "", fmt.Sprint(container["name"]))
		if err != nil {
			return false, fmt.Errorf("list container %v: %w", container["name"], err)
		}
		if container["count"] != json.Number(fmt.Sprint(len(held))) {
			return false, nil
		}
	}
	return true, nil
}

func tolerateTotals(attributes ...string) []resources.Tolerated {
	var tolerated []resources.Tolerated
	for _, attribute := range attributes {
		tolerated = append(tolerated, resources.Tolerated{
			Attribute: attribute, Reason: "swift-container-updater reports a container's totals to its account every few minutes, where it runs at all",
		})
	}
	return tolerated
}

// totals tolerates attributes unless create saw that they are up to date.
func (s *session) totals(attributes ...string) []resources.Tolerated {
	if s.saved[keySettled] == yes {
		return nil
	}
	return tolerateTotals(attributes...)
}
