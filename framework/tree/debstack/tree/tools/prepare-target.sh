#!/bin/bash
# prepare-target.sh: debstack_prepare_target (lib/target) as a command. stack_install_service does it anyway; this is for whoever
# wants it done before.
set -o errexit -o nounset -o pipefail

# shellcheck source=../stackrc
source "$(dirname "$0")/../stackrc"
# shellcheck source=../lib/target
source "$RC_DIR/lib/target"
debstack_prepare_target
