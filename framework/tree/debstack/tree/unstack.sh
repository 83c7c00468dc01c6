#!/bin/bash
# unstack.sh: stops all that stack.sh started. Data stays where it is; the next stack.sh begins anew.
set -o errexit -o nounset -o pipefail

TOP_DIR=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=stackrc
source "$TOP_DIR/stackrc"
all_services=(keystone glance placement swift neutron nova cinder horizon)
for lib in stack openstackclient database rpc_backend memcached tls apache "${all_services[@]}"; do
    # shellcheck source=/dev/null
    source "$TOP_DIR/lib/$lib"
done

for ((i = ${#all_services[@]} - 1; i >= 0; i--)); do
    name=${all_services[i]}
    if is_service_enabled "$name"; then "stop_$name"; fi
done
for name in rabbit mysql; do
    if is_service_enabled "$name"; then stop_units "$name"; fi
done
stop_units memcached
stop_openstackclient
