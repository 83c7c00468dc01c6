#!/usr/bin/env bash
#
# Upgrades placement to the target release and starts it.
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
source "$TARGET_DEVSTACK_DIR/lib/placement"
source "$GRENADE_DIR/inc/rules"

set -o xtrace

# The configuration that base ran with, for people who look for a cause later.
[[ -d $SAVE_DIR/etc.placement ]] || sudo cp -pr "$PLACEMENT_CONF_DIR" "$SAVE_DIR/etc.placement"

stack_install_service placement
upgrade_project placement "$RUN_DIR" "$BASE_DEVSTACK_BRANCH" "$TARGET_DEVSTACK_BRANCH"

: "${PLACEMENT_BIN_DIR:=$(dirname "$(command -v placement-manage)")}"
"$PLACEMENT_BIN_DIR/placement-manage" db sync || die $LINENO "placement: the database schema was not upgraded"
run_online_migrations "$PLACEMENT_BIN_DIR/placement-manage" db
check_upgrade_status "$PLACEMENT_BIN_DIR/placement-status"

start_placement
ensure_services_started placement-api
