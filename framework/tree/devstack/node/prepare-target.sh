#!/bin/bash
# prepare-target.sh BASE TARGET BASE_RELEASE_DIR: makes the target's tree ready for upgrade.sh without stack.sh: what
# upstream Grenade's prep-target does, in stack.sh's order, but for what belongs to GNU screen, and but for going on after an error.
# The first thing that fails ends it.
#
# The tree's own functions do the work. One that a release of DevStack has no more is left out, and said so.
#
# DevStack's files are sourced, so neither nounset nor pipefail: they do not stand them.

# step FUNCTION: calls it, if this tree has it.
step() {
    if declare -F "$1" >/dev/null; then
        echo "== $1"
        "$@"
    else
        echo "== $1: this tree has none"
    fi
}

# part FILE: sources it, if this tree has it.
part() {
    if [[ -f $TOP_DIR/$1 ]]; then
        echo "== $1"
        # shellcheck source=/dev/null
        source "$TOP_DIR/$1"
    else
        echo "== $1: this tree has none"
    fi
}

main() {
    set -o errexit
    local base=$1 base_release=$3
    export TOP_DIR=$2
    cd "$TOP_DIR"
    if [[ -d $base_release/images ]]; then
        mkdir -p "$TOP_DIR/files/images"
        # Where stack.sh looks for what IMAGE_URLS names, and where it unpacks.
        cp -a "$base_release/images/." "$TOP_DIR/files/"
        cp -a "$base_release/images/." "$TOP_DIR/files/images/"
    fi
    # shellcheck source=/dev/null
    source "$TOP_DIR/functions"
    step GetDistro
    # shellcheck source=/dev/null
    source "$TOP_DIR/stackrc"
    # The repositories of DevStack's plugins: settings enable them, stack.sh would fetch them.
    step fetch_plugins
    # shellcheck disable=SC2034 # the tree's tools read it
    FILES=$TOP_DIR/files
    mkdir -p "$DEST/logs"
    if [[ -n ${WHEELHOUSE:-} && ! -d $WHEELHOUSE ]]; then
        part tools/build_wheels.sh
    fi
    # The accounts of base are those of the target.
    if [[ -d $base/accrc ]]; then
        mkdir -p "$TOP_DIR/accrc"
        cp -a "$base/accrc/." "$TOP_DIR/accrc/"
    fi
    part tools/install_prereqs.sh
    part lib/infra
    if declare -F git_clone >/dev/null && [[ -n ${REQUIREMENTS_REPO:-} ]]; then
        echo "== requirements at $REQUIREMENTS_BRANCH"
        git_clone "$REQUIREMENTS_REPO" "$REQUIREMENTS_DIR" "$REQUIREMENTS_BRANCH"
    fi
    step install_infra
    # After the requirements, which say which version of it.
    part lib/database
    step install_database_python
    part lib/libraries
    step install_oslo
    part lib/dstat
    step start_dstat
    echo "== the target's tree is ready"
}
main "$@" </dev/null
