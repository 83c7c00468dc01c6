#!/bin/bash
# install_prereqs.sh: makes the packages of this tree's release available. Upstream Grenade's prep-target sources it, after stackrc, on the
# target's tree, where that means the target's root (lib/target); at base they are the node's own.
# shellcheck source=/dev/null

if [[ -n ${DEBSTACK_ROOT:-} ]]; then
    source "$RC_DIR/lib/target"
    debstack_prepare_target
fi
