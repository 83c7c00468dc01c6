#!/bin/bash
# configure.sh TREE META: extracts the localrc of the tree's local.conf, as DevStack's stack.sh does, with the function of
# the tree META, and says what the tree is configured to be: a line for each setting, its name and its value separated
# by a tab. stack.sh never runs on the target's tree, so nobody else does that there.
#
# DevStack's files are sourced, so neither nounset nor pipefail: they do not stand them.
main() {
    set -o errexit
    local top=$1 meta=$2 name
    exec 3>&1 1>&2
    export TOP_DIR=$top
    cd "$top"
    # shellcheck source=/dev/null
    source "$meta/inc/meta-config"
    extract_localrc_section "$top/local.conf" "$top/localrc" "$top/.localrc.auto"
    # shellcheck source=/dev/null
    source "$top/stackrc"
    # stackrc alone knows of the database what localrc says; stack.sh asks these.
    if [[ -f $top/lib/database ]]; then
        # shellcheck source=/dev/null
        source "$top/lib/database"
        initialize_database_backends || echo "no database is enabled"
    fi
    for name in ENABLED_SERVICES DEST DATABASE_TYPE DATABASE_HOST DATABASE_USER DATABASE_PASSWORD MYSQL_PASSWORD; do
        printf '%s\t%s\n' "$name" "${!name-}" >&3
    done
}
main "$@" </dev/null
