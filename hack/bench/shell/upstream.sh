#!/usr/bin/env bash
# upstream.sh - what upstream's grenade.sh does with plugins, in one shell as it does
# and by upstream's own functions: settings, and the scripts of every phase. What it
# does beside that (trees, stack.sh, databases, Tempest) is left out. All output goes
# through its filters, as it does there (VERBOSE=True, its default).
#
# usage: GRENADE_DIR=... upstream.sh CLOCK
#   CLOCK  gets the microseconds since 1970 before the first script and after the last
clock=$1
# shellcheck source=/dev/null
source "$GRENADE_DIR/grenaderc"
# shellcheck source=/dev/null
source "$GRENADE_DIR/inc/bootstrap"
mkdir -p "$STACK_ROOT/logs"
# shellcheck disable=SC2034 # upstream's resources gives it to scripts
LOGDIR=$STACK_ROOT/logs
exec 3>&1
exec 1> >("$GRENADE_DIR/tools/outfilter.py" -v -o "$LOGDIR/grenade.sh.log") 2>&1
exec 6> >("$GRENADE_DIR/tools/outfilter.py" -o "$LOGDIR/grenade.sh.log.summary")
set -o errexit
set -o xtrace
# shellcheck source=/dev/null
source "$GRENADE_DIR/functions"
# shellcheck disable=SC2016 # expanded for each command
export PS4='+ $(short_source):   '
export TOP_DIR=$TARGET_DEVSTACK_DIR
load_settings
init_grenade_db

echo "${EPOCHREALTIME/[.,]/}" >"$clock"
resources early_create
resources create
resources verify pre-upgrade
shutdown_services
resources verify_noapi pre-upgrade
for project in $UPGRADE_PROJECTS; do
    upgrade_service "$project"
done
resources verify post-upgrade
resources destroy
echo "${EPOCHREALTIME/[.,]/}" >>"$clock"
