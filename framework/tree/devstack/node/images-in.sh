#!/bin/bash
# images-in.sh STACK_ROOT TREE: images that the user has put into STACK_ROOT/images need not be fetched by stack.sh.
main() {
    set -euo pipefail
    local from=$1/images tree=$2
    [[ -d $from ]] || return 0
    mkdir -p "$tree/files"
    cp -a "$from/." "$tree/files/"
}
main "$@" </dev/null
