#!/usr/bin/env bash
# A fake of upstream's grenade.sh: its order, and nothing that is not compared.
set -o errexit

GRENADE_DIR=$(cd "$(dirname "$0")" && pwd)
export GRENADE_DIR
exec 3>&1 6>&1
source "$GRENADE_DIR/grenaderc"
source "$GRENADE_DIR/functions"
export TOP_DIR=$TARGET_DEVSTACK_DIR
export LOGDIR=$STACK_ROOT/logs

for side in base target; do
    dir=$BASE_RELEASE_DIR
    [[ $side == base ]] || dir=$TARGET_RELEASE_DIR
    {
        sed "s|@[A-Z]*_RELEASE_DIR@|$dir|" "$GRENADE_DIR/devstack.local.conf.$side"
        sed '1d; /^\[\[post/,$d' "$GRENADE_DIR/devstack.local.conf"
    } >"$dir/devstack/local.conf"
done
ENABLED_SERVICES=$(source "$BASE_DEVSTACK_DIR/stackrc" && echo "$ENABLED_SERVICES")

for settings in "$GRENADE_DIR"/projects/*/settings; do
    source "$settings"
done
for plugin in ${GRENADE_PLUGINS//,/ }; do
    source "${GITDIR[$plugin]}/devstack/upgrade/settings"
done
export UPGRADE_PROJECTS
for side in base target; do
    sed -n '/^\[\[post/,$p' "$GRENADE_DIR/devstack.local.conf" >>"$(localrc_path $side)"
done

cd "$BASE_DEVSTACK_DIR"
resources early_create
resources create
resources verify pre-upgrade
for project in $(reversed $UPGRADE_PROJECTS); do
    run_script "$BASE_DEVSTACK_DIR" "${PLUGIN_DIR[$project]}/shutdown.sh"
done
resources verify_noapi pre-upgrade
for project in $UPGRADE_PROJECTS; do
    run_script "$TARGET_DEVSTACK_DIR" "${PLUGIN_DIR[$project]}/upgrade.sh"
done
resources verify post-upgrade
resources destroy
