#!/usr/bin/env bash
#
# Stops cinder with the base tree's functions.
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
source "$BASE_DEVSTACK_DIR/lib/cinder"

set -o xtrace

stop_cinder
ensure_services_stopped c-api c-sch c-vol
