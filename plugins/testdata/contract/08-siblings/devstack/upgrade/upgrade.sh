#!/usr/bin/env bash
echo "*** begin $0"
RUN_DIR=$(cd $(dirname "$0") && pwd)
source $GRENADE_DIR/grenaderc
source $GRENADE_DIR/functions
cleanup() {
    set +o xtrace
    trap 2
    kill -2 $$
}
trap 2
set -o errexit
source $RUN_DIR/../lib/siblings '$0'
source $(dirname ${BASH_SOURCE[0]})/../lib/siblings BASH_SOURCE
source $TARGET_RELEASE_DIR/08-siblings/devstack/lib/siblings TARGET_RELEASE_DIR
source ${GITDIR[08-siblings]}/devstack/lib/siblings GITDIR
source $STACK_ROOT/old/08-siblings/devstack/lib/siblings old
echo "image $DEFAULT_IMAGE_NAME, projects '$UPGRADE_PROJECTS', top $(basename $(dirname $TOP_DIR))"
is_service_enabled nothing || echo "line $LINO"
