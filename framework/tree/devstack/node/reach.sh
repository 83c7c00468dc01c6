#!/bin/bash
# reach.sh PATH...: the first directory above each path, or itself, that this user cannot enter: a line for each such path,
# the path and that directory separated by a tab.
main() {
    set -euo pipefail
    local wanted place rest
    for wanted in "$@"; do
        place='' rest=${wanted#/}
        while [[ -n $rest ]]; do
            place+=/${rest%%/*}
            if [[ $rest == */* ]]; then rest=${rest#*/}; else rest=''; fi
            if [[ -d $place && ! -x $place ]]; then
                printf '%s\t%s\n' "$wanted" "$place"
                break
            fi
        done
    done
}
main "$@" </dev/null
