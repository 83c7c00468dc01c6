#!/bin/bash
# Evaluates pluginrc and GRENADE_PLUGINRC, one after the other in one bash, as
# upstream's functions do, and writes down which plugins they enable. It must not
# change set state for them: no set -euo pipefail here.
#
# usage: pluginrc.sh PREAMBLE DIR FILE...
#   PREAMBLE  assigns what a pluginrc may refer to
#   DIR       gets plugins (FILE NUL LINE NUL NAME NUL URL NUL BRANCH NUL ...), failed
#             (FILE NUL LINE NUL MESSAGE NUL ...), before and after (FLAG NUL NAME NUL VALUE
#             NUL ..., FLAG is x for what is exported) and, at the end, done

__grenade_dir=$2

# What a pluginrc prints is nobody's business; what it complains of is.
exec >/dev/null

__grenade_note() {
    printf '%s\0' "${@:2}" >>"$__grenade_dir/$1"
}

__grenade_dump() {
    local __grenade_name __grenade_flag
    for __grenade_name in $(compgen -v); do
        __grenade_flag=${!__grenade_name@a}
        case $__grenade_flag in
            *[aA]*) continue ;;
            *x*) __grenade_flag=x ;;
            *) __grenade_flag='' ;;
        esac
        printf '%s\0' "$__grenade_flag" "$__grenade_name" "${!__grenade_name-}"
    done >"$__grenade_dir/$1"
}

enable_grenade_plugin() {
    if (($# < 2 || $# > 3)); then
        __grenade_note failed "${BASH_SOURCE[1]}" "${BASH_LINENO[0]}" "enable_grenade_plugin wants a name, a URL and at most a branch, not $# words"
        return 0
    fi
    __grenade_note plugins "${BASH_SOURCE[1]}" "${BASH_LINENO[0]}" "$1" "$2" "${3-}"
}

# bash calls this in a process of its own, and then the ERR trap.
command_not_found_handle() {
    __grenade_note failed "${BASH_SOURCE[1]}" "${BASH_LINENO[0]}" "$1: command not found: only enable_grenade_plugin is defined here"
    return 127
}

# Where errexit would end upstream's run. A last "[[ ... ]] && ..." that comes to
# nothing fails the source command below, which is no mistake.
__grenade_failed() {
    if [[ ${BASH_SOURCE[1]} != "$0" && $1 != 127 ]]; then
        __grenade_note failed "${BASH_SOURCE[1]}" "$2" "ended with exit code $1: $3"
    fi
}

# shellcheck source=/dev/null
source "$1"
shift 2
__grenade_dump before
for __grenade_file in "$@"; do
    set -o errtrace
    trap '__grenade_failed "$?" "$LINENO" "$BASH_COMMAND"' ERR
    # shellcheck source=/dev/null
    source "$__grenade_file"
    trap - ERR
    set +o errtrace
done
__grenade_dump after
: >"$__grenade_dir/done"
