# shellcheck shell=bash disable=SC2317 # upgrade_project calls it
# step.sh - stands in the place of from-<release>/upgrade-<project>: the function
# that upgrade_project calls writes down that it was.
function configure_@PROJECT@_upgrade {
    local record
    record=@RECORDS@/$(date +%s%N).$BASHPID
    mkdir "$record"
    printf '%s\0' "${BASH_SOURCE[0]}" "${FUNCNAME[0]}" "$@" >"$record/argv"
    printf '%s\0' "$(pwd -P)" "$(umask)" '' >"$record/place"
    env -0 >"$record/environ"
}
