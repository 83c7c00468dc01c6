#!/usr/bin/env bash
#
# Upgrades neutron to the target release and starts it.
#
# shellcheck disable=SC1091 # the trees are there when it runs

# A caller that waits for this script learns of the signal, too.
function abort {
    set +o errexit
    echo "ERROR: $0 was interrupted" >&2
    trap - INT
    kill -INT $$
}
trap abort HUP INT TERM

# Errexit alone: the trees' functions are written for that.
set -o errexit

RUN_DIR=$(cd "$(dirname "$0")" && pwd)

source "$GRENADE_DIR/grenaderc"
source "$GRENADE_DIR/functions"
source "$TARGET_DEVSTACK_DIR/stackrc"
source "$TARGET_DEVSTACK_DIR/lib/tls"
source "$TARGET_DEVSTACK_DIR/lib/apache"
source "$TARGET_DEVSTACK_DIR/lib/neutron"
source "$TARGET_DEVSTACK_DIR/openrc" admin admin
source "$GRENADE_DIR/inc/check"
source "$GRENADE_DIR/inc/rules"

set -o xtrace

# The configuration that base ran with, for people who look for a cause later.
[[ -d $SAVE_DIR/etc.neutron ]] || sudo cp -pr "$NEUTRON_CONF_DIR" "$SAVE_DIR/etc.neutron"

stack_install_service neutron
upgrade_project neutron "$RUN_DIR" "$BASE_DEVSTACK_BRANCH" "$TARGET_DEVSTACK_BRANCH"

: "${NEUTRON_BIN_DIR:=$(dirname "$(command -v neutron-db-manage)")}"
# Nothing of neutron runs, so what expands the schema and what contracts it need not be kept apart.
"$NEUTRON_BIN_DIR/neutron-db-manage" --config-file "$NEUTRON_CONF" --config-file "/$Q_PLUGIN_CONF_FILE" upgrade heads ||
    die $LINENO "neutron: the database schema was not upgraded"
if is_service_enabled q-agt; then
    expect_finding "OVN support for BM provisioning over IPv6 check" "the agents are those of Open vSwitch; there is no OVN to ask"
fi
check_upgrade_status "$NEUTRON_BIN_DIR/neutron-status"

begin=$(reports_from)
start_neutron
ensure_services_started q-svc q-agt q-dhcp q-l3 q-meta

set +o xtrace
check_login
await_reports "$(check_endpoint network)/v2.0/agents" agents "$begin"
