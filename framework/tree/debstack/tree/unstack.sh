#!/bin/bash
# unstack.sh: stops all that stack.sh started, so that it does not start at boot either. Data stays where it is; the next stack.sh begins anew.
set -o errexit -o nounset -o pipefail

TOP_DIR=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=stackrc
source "$TOP_DIR/stackrc"
all_services=(keystone glance placement swift neutron nova cinder horizon)
for lib in stack openstackclient database rpc_backend memcached tls apache "${all_services[@]}"; do
    # shellcheck source=/dev/null
    source "$TOP_DIR/lib/$lib"
done

if has_plugins; then
    fetch_plugins
    run_phase override_defaults
    run_phase source
    run_phase unstack
    if is_package_installed "$APACHE_NAME"; then stop_apache_server; fi
fi
for ((i = ${#all_services[@]} - 1; i >= 0; i--)); do
    name=${all_services[i]}
    if is_service_enabled "$name"; then
        "stop_$name"
        # At the node's next boot they would start at once, the agents before what they ask: neutron's L3 agent then waits
        # for two minutes.
        # shellcheck disable=SC2046 # a list of names
        disable_units $(lib_header "$name" units)
    fi
done
for name in rabbit mysql; do
    if is_service_enabled "$name"; then stop_units "$name"; fi
done
stop_units memcached
stop_openstackclient
