#!/usr/bin/env bash
#
# Stops neutron with the base tree's functions.
#
# shellcheck disable=SC1091 # the trees are there when it runs

# Errexit alone: the trees' functions are written for that.
set -o errexit

source "$GRENADE_DIR/grenaderc"
source "$GRENADE_DIR/functions"
source "$BASE_DEVSTACK_DIR/functions"
source "$BASE_DEVSTACK_DIR/stackrc"
source "$BASE_DEVSTACK_DIR/lib/tls"
source "$BASE_DEVSTACK_DIR/lib/apache"
source "$BASE_DEVSTACK_DIR/lib/neutron"

set -o xtrace

stop_neutron
ensure_services_stopped q-agt q-dhcp q-l3 q-meta q-svc
