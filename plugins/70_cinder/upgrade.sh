#!/usr/bin/env bash
#
# Upgrades cinder to the target release and starts it.
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
source "$TARGET_DEVSTACK_DIR/lib/cinder"
source "$TARGET_DEVSTACK_DIR/openrc" admin admin
source "$GRENADE_DIR/inc/check"
source "$GRENADE_DIR/inc/rules"

set -o xtrace

# The configuration that base ran with, for people who look for a cause later.
[[ -d $SAVE_DIR/etc.cinder ]] || sudo cp -pr "$CINDER_CONF_DIR" "$SAVE_DIR/etc.cinder"

stack_install_service cinder
upgrade_project cinder "$RUN_DIR" "$BASE_DEVSTACK_BRANCH" "$TARGET_DEVSTACK_BRANCH"

: "${CINDER_BIN_DIR:=$(dirname "$(command -v cinder-manage)")}"
"$CINDER_BIN_DIR/cinder-manage" db sync || die $LINENO "cinder: the database schema was not upgraded"
check_upgrade_status "$CINDER_BIN_DIR/cinder-status"
run_online_migrations "$CINDER_BIN_DIR/cinder-manage" db

began=$(reports_from)
start_cinder
ensure_services_started c-api c-sch c-vol

check_login
volume=$(check_endpoint volumev3)
await_reports "$volume/os-services" services "$began"
