#!/bin/bash
# images-out.sh TREE RELEASE_DIR: keeps the images that stack.sh has fetched in RELEASE_DIR/images, for the target's tree:
# those of IMAGE_URLS that lie in files/, and all that is in files/images. Prints how many files there are then.
#
# DevStack's files are sourced, so neither nounset nor pipefail: they do not stand them.
main() {
    set -o errexit
    local tree=$1 images=$2/images url
    exec 3>&1 1>&2
    export TOP_DIR=$tree
    mkdir -p "$images"
    # shellcheck source=/dev/null
    source "$tree/stackrc"
    for url in ${IMAGE_URLS//,/ }; do
        if [[ -f $tree/files/${url##*/} ]]; then
            cp -a "$tree/files/${url##*/}" "$images/"
        fi
    done
    if [[ -d $tree/files/images ]]; then
        cp -a "$tree/files/images/." "$images/"
    fi
    find "$images" -type f | wc -l >&3
}
main "$@" </dev/null
