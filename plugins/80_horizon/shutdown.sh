#!/usr/bin/env bash
#
# Stops horizon with the base tree's functions.
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
source "$BASE_DEVSTACK_DIR/lib/horizon"

set -o xtrace

stop_horizon
ensure_services_stopped horizon
