#!/bin/bash
# Evaluates a localrc as upstream's grenaderc does, that is, sources it, and
# writes down what that did. It must not change set state for localrc: no
# set -euo pipefail here.
#
# usage: evaluate.sh LOCALRC PREAMBLE DIR
#   PREAMBLE  assigns the defaults, and defines __grenade_pin, which assigns
#             what the environment gave (the environment wins over localrc, so
#             localrc must not see its own value in later lines)
#   DIR       gets before, after (NAME NUL VALUE NUL ...), trace
#             (FILE NUL LINE NUL COMMAND NUL ...), unknown (FILE NUL LINE NUL
#             COMMAND NUL ...) and, when localrc came to its end, done

__grenade_dir=$3

# What localrc prints is nobody's business; what it complains of is.
exec >/dev/null

__grenade_dump() {
    local __grenade_name
    for __grenade_name in $(compgen -v); do
        printf '%s\0%s\0' "$__grenade_name" "${!__grenade_name-}"
    done >"$__grenade_dir/$1"
}

# A line like "KEEP = always" runs a command KEEP. bash calls this in a process
# of its own, so it has to write to a file.
command_not_found_handle() {
    printf '%s\0%s\0%s\0' "${BASH_SOURCE[1]}" "${BASH_LINENO[0]}" "$*" >>"$__grenade_dir/unknown"
    return 127
}

# Commands in $(...) are left out: what they assign is not seen outside.
__grenade_note() {
    if ((BASH_SUBSHELL == 0)); then
        printf '%s\0%s\0%s\0' "$1" "$2" "$3" >>"$__grenade_dir/trace"
    fi
}

# shellcheck source=/dev/null
source "$2"
__grenade_dump before
set -o functrace
trap '__grenade_note "${BASH_SOURCE[0]}" "$LINENO" "$BASH_COMMAND"; __grenade_pin' DEBUG
# shellcheck source=/dev/null
source "$1"
trap - DEBUG
__grenade_pin
__grenade_dump after
: >"$__grenade_dir/done"
