#!/bin/bash
# access.sh TREE: how the administrator gets into the cloud, as the tree's openrc has it: a line for each variable, its
# name and its value separated by a tab. The answer holds a password.
#
# DevStack's files are sourced, so neither nounset nor pipefail: they do not stand them.
main() {
    set -o errexit
    local top=$1 name
    exec 3>&1 1>&2
    cd "$top"
    # shellcheck source=/dev/null
    source "$top/openrc" admin admin
    for name in OS_AUTH_URL OS_REGION_NAME OS_USERNAME OS_PASSWORD OS_PROJECT_NAME; do
        printf '%s\t%s\n' "$name" "${!name-}" >&3
    done
}
main "$@" </dev/null
