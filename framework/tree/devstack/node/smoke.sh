#!/bin/bash
# smoke.sh RELEASE_DIR RESULTS TO_JUNIT: runs the smoke set of the release's Tempest, as DevStack has installed and configured it, and
# writes its results to RESULTS, by the Python program TO_JUNIT. Ends as tox does.
#
# DevStack's files are sourced, so neither nounset nor pipefail: they do not stand them.

# ask TREE: the directory of DevStack's Python programs and the constraints of Tempest's environment, a line each.
ask() {
    exec 3>&1 1>&2
    export TOP_DIR=$1
    # shellcheck source=/dev/null
    source "$1/stackrc"
    if declare -F get_python_exec_prefix >/dev/null; then
        get_python_exec_prefix >&3
    else
        echo /usr/local/bin >&3
    fi
    echo "${TEMPEST_VENV_UPPER_CONSTRAINTS:-master}" >&3
}

main() {
    set -o errexit
    local release=$1 results=$2 answer constraints status=0 environment=.tox/tempest
    if [[ ! -d $release/tempest ]]; then
        echo "there is no $release/tempest: tempest is not among the services that DevStack has installed" >&2
        exit 1
    fi
    cd "$release/tempest"
    answer=$(ask "$release/devstack")
    export PATH=${answer%%$'\n'*}:$PATH
    constraints=${answer#*$'\n'}
    # What DevStack gave when it made the environment: tox makes it anew, without Tempest's plugins, when it is given another.
    if [[ $constraints == master ]]; then
        constraints=https://releases.openstack.org/constraints/upper/master
    fi
    export UPPER_CONSTRAINTS_FILE=$constraints TOX_CONSTRAINTS_FILE=$constraints
    tox -e smoke -- --concurrency="${TEMPEST_CONCURRENCY:-$(nproc)}" || status=$?
    # Its own status says whether tests failed, which is known already.
    "$environment/bin/stestr" last --subunit >smoke.subunit || [[ -s smoke.subunit ]]
    "$environment/bin/python" -c "$3" <smoke.subunit >"$results.part"
    mv "$results.part" "$results"
    exit "$status"
}
main "$@" </dev/null
