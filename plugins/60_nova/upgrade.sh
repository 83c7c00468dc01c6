#!/usr/bin/env bash
#
# Upgrades nova to the target release and starts it.
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
source "$TARGET_DEVSTACK_DIR/lib/nova"
source "$TARGET_DEVSTACK_DIR/openrc" admin admin
source "$GRENADE_DIR/inc/check"
source "$GRENADE_DIR/inc/rules"

set -o xtrace

# The configuration that base ran with, for people who look for a cause later.
[[ -d $SAVE_DIR/etc.nova ]] || sudo cp -pr "$NOVA_CONF_DIR" "$SAVE_DIR/etc.nova"

stack_install_service nova
upgrade_project nova "$RUN_DIR" "$BASE_DEVSTACK_BRANCH" "$TARGET_DEVSTACK_BRANCH"

: "${NOVA_BIN_DIR:=$(dirname "$(command -v nova-manage)")}"
"$NOVA_BIN_DIR/nova-manage" api_db sync || die $LINENO "nova: the schema of the API's database was not upgraded"
"$NOVA_BIN_DIR/nova-manage" db sync || die $LINENO "nova: the schema of the cells' databases was not upgraded"

# nova refuses to start beside a nova-compute of a release that is older than it
# supports. Where the pair of releases is further apart, it has to be told that
# the old one, which is stopped, will be upgraded with it.
if [[ ${DEBSTACK_SKIP_RELEASE:-False} == True || $NOVA_ENABLE_UPGRADE_WORKAROUND == True ]]; then
    iniset "$NOVA_CONF" workarounds disable_compute_service_check_for_ffu true
    expect_finding "Older than N-1 computes" "the pair of releases is further apart than nova supports"
fi
# cinder is upgraded after nova. Where it is stopped until then, nova cannot ask it.
if is_service_enabled cinder && ! curl --silent --noproxy '*' --max-time 10 --output /dev/null "http://$SERVICE_HOST:8776/"; then
    expect_finding "Cinder API" "cinder is upgraded after nova, and is stopped until then"
fi
# It asks keystone and placement, too, which are upgraded before nova.
check_upgrade_status "$NOVA_BIN_DIR/nova-status"

begin=$(reports_from)
start_nova
ensure_services_started n-api n-api-meta n-cond n-sch n-cpu

expect_unmigrated populate_instance_compute_id 1 \
    "the instance whose id is all zeros is a mark that nova-manage leaves in the database, and has no host"
run_online_migrations "$NOVA_BIN_DIR/nova-manage" db

set +o xtrace
check_login
await_reports "$(check_endpoint compute)/os-services" services "$begin"
