#!/usr/bin/env bash
#
# Upgrades horizon to the target release and starts it.
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
source "$TARGET_DEVSTACK_DIR/lib/horizon"
source "$GRENADE_DIR/inc/rules"

set -o xtrace

# The configuration that base ran with, for people who look for a cause later.
# DevStack's is in the checkout.
[[ -z ${HORIZON_CONF_DIR:-} || -d $SAVE_DIR/etc.horizon ]] || sudo cp -pr "$HORIZON_CONF_DIR" "$SAVE_DIR/etc.horizon"

stack_install_service horizon
# A new checkout of DevStack's has no settings yet; debstack has carried them over.
[[ -n ${DEBSTACK_ROOT:-} ]] || configure_horizon
upgrade_project horizon "$RUN_DIR" "$BASE_DEVSTACK_BRANCH" "$TARGET_DEVSTACK_BRANCH"

# The static files of the new release.
init_horizon
start_horizon
ensure_services_started horizon
