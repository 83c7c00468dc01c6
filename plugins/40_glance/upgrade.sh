#!/usr/bin/env bash
#
# Upgrades glance to the target release and starts it.
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
source "$TARGET_DEVSTACK_DIR/lib/glance"
source "$GRENADE_DIR/inc/rules"

set -o xtrace

# The configuration that base ran with, for people who look for a cause later.
[[ -d $SAVE_DIR/etc.glance ]] || sudo cp -pr "$GLANCE_CONF_DIR" "$SAVE_DIR/etc.glance"

stack_install_service glance
upgrade_project glance "$RUN_DIR" "$BASE_DEVSTACK_BRANCH" "$TARGET_DEVSTACK_BRANCH"

: "${GLANCE_BIN_DIR:=$(dirname "$(command -v glance-manage)")}"
"$GLANCE_BIN_DIR/glance-manage" db_sync || die $LINENO "glance: the database schema was not upgraded"
check_upgrade_status "$GLANCE_BIN_DIR/glance-status"

start_glance
ensure_services_started g-api
