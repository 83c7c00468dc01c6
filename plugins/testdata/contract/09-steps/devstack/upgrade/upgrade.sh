#!/usr/bin/env bash
RUN_DIR=$(cd $(dirname "$0") && pwd)
source $GRENADE_DIR/grenaderc
source $GRENADE_DIR/functions
set -o errexit
upgrade_project steps $RUN_DIR $BASE_DEVSTACK_BRANCH $TARGET_DEVSTACK_BRANCH
