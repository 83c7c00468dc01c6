
# What upgrade.sh scripts have in common, so that the steps that upgrade_project
# takes between the releases are compared, too.
# shellcheck disable=SC2043 # there may be several in that place
for _record_project in @PROJECTS@; do
    # shellcheck disable=SC2016 # for that bash to expand
    bash -o errexit -c '
        source "$GRENADE_DIR/grenaderc"
        source "$GRENADE_DIR/functions"
        upgrade_project "$1" "$2" "$BASE_DEVSTACK_BRANCH" "$TARGET_DEVSTACK_BRANCH"
    ' upgrade.sh "$_record_project" "$(dirname "$0")" || exit 1
done
