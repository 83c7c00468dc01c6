#!/usr/bin/env bash
#
# Upgrades swift to the target release and starts it.
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
source "$TARGET_DEVSTACK_DIR/lib/swift"

set -o xtrace

# The configuration that base ran with, for people who look for a cause later.
[[ -d $SAVE_DIR/etc.swift ]] || sudo cp -pr "$SWIFT_CONF_DIR" "$SAVE_DIR/etc.swift"

stack_install_service swift
upgrade_project swift "$RUN_DIR" "$BASE_DEVSTACK_BRANCH" "$TARGET_DEVSTACK_BRANCH"

# There is no schema to upgrade: the servers change the databases of accounts
# and containers when they open them.
start_swift
ensure_services_started s-proxy s-account s-container s-object
