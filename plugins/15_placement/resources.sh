#!/usr/bin/env bash
#
# What must survive an upgrade of placement: a resource provider with inventory,
# and an allocation from it. All as admin: placement's policy lets nobody else in.
#
# shellcheck disable=SC1091 # the trees are there when it runs

set -o errexit

source "$GRENADE_DIR/grenaderc"
source "$GRENADE_DIR/functions"
source "$TOP_DIR/openrc" admin admin
source "$GRENADE_DIR/inc/check"

# Not before here: the trees' files are written for errexit alone.
set -o nounset -o pipefail
shopt -s inherit_errexit

NAME=placement_grenade
PLACEMENT_CONF=${PLACEMENT_CONF_DIR:-/etc/placement}/placement.conf
# Of Stein (placement's REST API version history): every release since has it.
MICROVERSION="OpenStack-API-Version: placement 1.30"

function create {
    local provider consumer generation state
    log_in
    remove

    provider=$(check_random | as_uuid)
    consumer=$(check_random | as_uuid)
    resource_save placement provider_id "$provider"
    resource_save placement consumer_id "$consumer"
    generation=$(placement POST /resource_providers 200 \
        --json-body "{\"name\": \"$NAME\", \"uuid\": \"$provider\"}" | check_json "d['generation']")
    placement PUT "/resource_providers/$provider/inventories" 200 \
        --json-body "{\"resource_provider_generation\": $generation, \"inventories\": {
            \"DISK_GB\": {\"total\": 100, \"reserved\": 10, \"allocation_ratio\": 1.5},
            \"VCPU\": {\"total\": 8}}}" >/dev/null
    # Placement takes any project and user: it only counts by them.
    placement PUT "/allocations/$consumer" 204 \
        --json-body "{\"consumer_generation\": null, \"project_id\": \"$NAME\", \"user_id\": \"$NAME\",
            \"allocations\": {\"$provider\": {\"resources\": {\"DISK_GB\": 7, \"VCPU\": 3}}}}"
    state=$(state)
    resource_save placement state "$state"
}

function verify {
    local expected seen
    log_in
    expected=$(check_saved placement state)
    seen=$(state)
    check_same "the provider with its inventory and allocation" "$expected" "$seen"
}

function verify_noapi {
    local provider consumer rows
    provider=$(check_saved placement provider_id)
    consumer=$(check_saved placement consumer_id)
    rows=$(check_sql "$PLACEMENT_CONF" placement_database "
        SELECT CONCAT_WS(' ',
            (SELECT COUNT(*) FROM resource_providers WHERE uuid = '$provider' AND name = '$NAME'),
            (SELECT SUM(total) FROM inventories JOIN resource_providers p ON p.id = resource_provider_id
                WHERE p.uuid = '$provider'),
            (SELECT SUM(used) FROM allocations JOIN resource_providers p ON p.id = resource_provider_id
                WHERE p.uuid = '$provider' AND consumer_id = '$consumer'))")
    check_same "the number of providers, the sum of its inventories, the sum of its allocations" "1 108 10" "$rows"
}

function destroy {
    log_in
    remove
}

# By name, so that it also removes what a create that failed has left.
function remove {
    local provider consumer consumers
    provider=$(provider_ids)
    [[ -n $provider ]] || return 0
    consumers=$(placement GET "/resource_providers/$provider/allocations" 200 | check_json "' '.join(d['allocations'])")
    for consumer in $consumers; do
        placement DELETE "/allocations/$consumer" "204|404"
    done
    placement DELETE "/resource_providers/$provider" "204|404"
    provider=$(provider_ids)
    check_same "the list of resource providers called $NAME" "" "$provider"
}

function provider_ids {
    placement GET "/resource_providers?name=$NAME" 200 | check_json "' '.join(p['uuid'] for p in d['resource_providers'])"
}

# Everything that placement knows of the provider, but for links to itself.
function state {
    local provider consumer
    provider=$(check_saved placement provider_id)
    consumer=$(check_saved placement consumer_id)
    placement GET "/resource_providers/$provider" 200 | check_json "{k: v for k, v in d.items() if k != 'links'}"
    placement GET "/resource_providers/$provider/inventories" 200 | check_json d
    placement GET "/resource_providers/$provider/usages" 200 | check_json d
    placement GET "/allocations/$consumer" 200 | check_json d
}

function log_in {
    check_login
    ENDPOINT=$(check_endpoint placement)
}

# placement METHOD PATH STATUS [options of check_api]
function placement {
    local method=$1 path=$2 status=$3
    shift 3
    check_api "$method" "$ENDPOINT$path" "$status" "$@" --header "$MICROVERSION"
}

function as_uuid {
    sed -E 's/(.{8})(.{4})(.{4})(.{4})(.{12})/\1-\2-\3-\4-\5/'
}

# An unknown phase is no error. There is nothing that others need early.
case $1 in
    create) create ;;
    verify) verify ;;
    verify_noapi) verify_noapi ;;
    destroy) destroy ;;
esac
