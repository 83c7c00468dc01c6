#!/usr/bin/env bash
#
# What must survive an upgrade of cinder: a guest that an ordinary user has booted
# from a volume, a second volume that it uses, with random bytes that were written
# inside it, and a third one, not attached, with a snapshot. Of the guest it has
# to be the very same run, and the bytes must be read by it, past its page cache.
#
# shellcheck disable=SC1091 # the trees are there when it runs

set -o errexit

source "$GRENADE_DIR/grenaderc"
source "$GRENADE_DIR/functions"
source "$TOP_DIR/openrc" admin admin
source "$GRENADE_DIR/inc/check"
source "$GRENADE_DIR/inc/guest"

# Not before here: the trees' files are written for errexit alone.
set -o nounset -o pipefail
shopt -s inherit_errexit

NAME=cinder_grenade
CINDER_CONF=${CINDER_CONF_DIR:-/etc/cinder}/cinder.conf
# The highest of Zed (cinder's REST API version history): every release since has
# it, and both sides answer in the same shape.
MICROVERSION=3.70
# Seconds in which a volume must get to a status, and be gone. A failure ends the
# wait at once, so that only a machine under load needs so many.
PATIENCE=600
# Where the bytes are in the attached volume, in bytes.
PLACE=16777216
LENGTH=131072

function create {
    local network type password image boot data kept snapshot server port address seen
    network=$(check_saved network net_id)
    log_in_as_admin
    remove_all

    type=$(volume POST /types 200 --json-body "{\"volume_type\": {\"name\": \"$NAME\", \"description\": \"Grüße\",
        \"extra_specs\": {\"grenade:note\": \"made before the upgrade\"}}}" | check_json "d['volume_type']['id']")
    resource_save cinder type_id "$type"
    seen=$(type_state)
    resource_save cinder type_state "$seen"
    password=$(check_account "$NAME")
    resource_save cinder password "$password"
    log_in_as_ourselves

    image=$(guest_image)
    boot=$(make_volume boot "\"imageRef\": \"$image\"")
    resource_save cinder boot_id "$boot"
    data=$(make_volume data "\"description\": \"Grüße\", \"metadata\": {\"grenade\": \"made before the upgrade\", \"empty\": \"\"}")
    resource_save cinder data_id "$data"
    kept=$(make_volume kept "\"description\": \"with a snapshot\"")
    resource_save cinder kept_id "$kept"
    await volumes volume "$boot" available

    server=$(make_server "$network" "$boot")
    resource_save cinder server_id "$server"
    # While nova is busy.
    await volumes volume "$kept" available
    snapshot=$(volume POST /snapshots 202 --json-body "{\"snapshot\": {\"name\": \"$NAME\", \"volume_id\": \"$kept\",
        \"description\": \"Grüße\", \"metadata\": {\"grenade\": \"made before the upgrade\"}}}" | check_json "d['snapshot']['id']")
    resource_save cinder snapshot_id "$snapshot"
    await_server "$server" ACTIVE
    port=$(network GET "/ports?device_id=$server" 200 | check_json "d['ports'][0]['id']")
    address=$(guest_floating_ip "$port")
    resource_save cinder address "$address"
    resource_save cinder witness_guest "$address"

    await volumes volume "$data" available
    nova POST "/servers/$server/os-volume_attachments" 200 --json-body "{\"volumeAttachment\": {\"volumeId\": \"$data\"}}" >/dev/null
    await volumes volume "$data" in-use
    await snapshots snapshot "$snapshot" available
    await_answer "$server" "$address"
    await_disk "$address" "$data"

    write_in_guest "$address" "$data"
    seen=$(guest "$address" GET state | field boot_id)
    resource_save cinder boot_id_of_guest "$seen"
    seen=$(qemu_process "$server")
    resource_save cinder qemu "$seen"
    seen=$(files)
    resource_save cinder files "$seen"
    made_as_asked "$seen"
    seen=$(state)
    resource_save cinder state "$seen"
}

function verify {
    local expected seen
    verify_side_effects
    # Extra specs are for administrators.
    log_in_as_admin
    expected=$(check_saved cinder type_state)
    seen=$(type_state)
    check_lines "what cinder says of the volume type" "$expected" "$seen"

    log_in_as_ourselves
    expected=$(check_saved cinder state)
    seen=$(state)
    check_lines "what cinder says of volumes, attachments and snapshot, and nova of its server's volumes" "$expected" "$seen"
}

function verify_noapi {
    verify_side_effects
}

function destroy {
    log_in_as_admin
    remove_all
}

# The guest, and the files on the node, whatever the APIs say of them.
function verify_side_effects {
    local server address data expected seen
    server=$(check_saved cinder server_id)
    address=$(check_saved cinder address)
    data=$(check_saved cinder data_id)

    expected=$(check_saved cinder qemu)
    seen=$(qemu_process "$server")
    check_same "the guest's QEMU process with its start time" "$expected" "$seen"
    expected=$(check_saved cinder boot_id_of_guest)
    seen=$(guest "$address" GET state | field boot_id)
    check_same "the guest's boot id" "$expected" "$seen"
    expected=$(check_saved cinder sha256)
    seen=$(guest_sum "$address" "read?disk=$data&offset=$PLACE&length=$LENGTH")
    check_same "the sha256 of what the guest reads from volume $data" "$expected" "$seen"

    expected=$(check_saved cinder files)
    seen=$(files)
    check_lines "the files of the volumes, by inode, and their content" "$expected" "$seen"
}

# make_volume WHAT MORE - prints the id of a volume of our type; MORE are further
# attributes in JSON.
function make_volume {
    volume POST /volumes 202 --json-body "{\"volume\": {\"name\": \"$NAME-$1\", \"size\": 1, \"volume_type\": \"$NAME\", $2}}" |
        check_json "d['volume']['id']"
}

# make_server NETWORK VOLUME - prints the id of a server that boots from the volume.
function make_server {
    local flavor
    flavor=$(guest_flavor)
    guest_security_group
    nova POST /servers 202 --json-body "{\"server\": {\"name\": \"$NAME\", \"imageRef\": \"\", \"flavorRef\": \"$flavor\",
        \"networks\": [{\"uuid\": \"$1\"}], \"security_groups\": [{\"name\": \"$NAME\"}],
        \"block_device_mapping_v2\": [{\"boot_index\": 0, \"uuid\": \"$2\", \"source_type\": \"volume\", \"destination_type\": \"volume\"}]}}" |
        check_json "d['server']['id']"
}

# await COLLECTION MEMBER ID STATUS - an object in any status of error ends it at
# once, and so does a volume that falls back to available; cinder's own messages
# are shown.
function await {
    local seen before="" end=$((SECONDS + PATIENCE))
    while :; do
        seen=$(volume GET "/$1/$3" 200 | check_json "d['$2']['status']")
        [[ $seen != "$4" ]] || return 0
        if [[ $seen == *error* || ($seen == available && -n $before && $before != available) ]]; then
            echo "What cinder says of $2 $3, newest first:" >&2
            volume GET "/messages?resource_uuid=$3&sort=created_at:desc" 200 | check_json "'\n'.join(m['user_message'] for m in d['messages'])" >&2
            check_fail "$2 $3 becomes $4" "$seen"
        fi
        ((SECONDS < end)) || check_fail "$2 $3 is $4 within ${PATIENCE}s" "$seen"
        before=$seen
        sleep 0.6
    done
}

# await_disk ADDRESS VOLUME - until the guest has it as a disk, by the serial
# number that is the beginning of the volume's id.
function await_disk {
    local seen end=$((SECONDS + PATIENCE))
    while :; do
        seen=$(guest "$1" GET state)
        [[ $seen != *" ${2:0:20} "* ]] || return 0
        ((SECONDS < end)) || check_fail "the guest has volume $2 as a disk within ${PATIENCE}s" "$(field disk <<<"$seen")"
        sleep 0.5
    done
}

# write_in_guest ADDRESS VOLUME - random bytes, which the guest reads back past its
# cache.
function write_in_guest {
    local bytes expected seen
    bytes=$(mktemp -p "$SAVE_DIR" .cinder.XXXXXX)
    head -c "$LENGTH" /dev/urandom >"$bytes"
    expected=$(sha256sum <"$bytes" | cut -d " " -f 1)
    resource_save cinder sha256 "$expected"
    seen=$(guest "$1" POST "write?disk=$2&offset=$PLACE" --data-binary "@$bytes")
    rm -f "$bytes"
    check_same "the sha256 of what the guest has written to volume $2" "$expected" "$seen"
}

# made_as_asked FILES - a wrong value that is saved would be compared with itself.
function made_as_asked {
    local sum
    [[ -n $1 ]] || return 0
    sum=$(check_saved cinder sha256)
    [[ $1 == *"sha256 $sum"* ]] || check_fail "the volume's file on the node holds the bytes with sha256 $sum" "$1"
    [[ $1 == *"open by pid"* ]] || check_fail "the guest's QEMU has the file of its volume open" "$1"
}

# What cinder says of everything that is not its own affair, and nova of what it
# attached: one line per attribute.
function state {
    local what id
    for what in boot data kept; do
        id=$(check_saved cinder "${what}_id")
        volume GET "/volumes/$id" 200 | attributes "volume $what" "d['volume']"
    done
    volume GET "/attachments/detail" 200 | attributes "attachment of volume" "{a['volume_id']: a for a in d['attachments']}"
    id=$(check_saved cinder snapshot_id)
    volume GET "/snapshots/$id" 200 | attributes snapshot "d['snapshot']"
    id=$(check_saved cinder server_id)
    nova GET "/servers/$id/os-volume_attachments" 200 | attributes "volume of the server" "{a['volumeId']: a for a in d['volumeAttachments']}"
}

function type_state {
    local type
    type=$(check_saved cinder type_id)
    volume GET "/types/$type" 200 | attributes "volume type" "d['volume_type']"
}

# attributes NAME EXPRESSION - prints the members of an object in the JSON on
# stdin, one to a line. updated_at is the service's own affair.
function attributes {
    check_json "'\n'.join('$1, %s: %s' % (k, json.dumps(v, sort_keys=True))
        for k, v in sorted(($2).items()) if k not in ('links', 'updated_at'))"
}

# files - where the volumes are kept in files: path, inode, size and the sha256 of
# some bytes, of the attached volume those that the guest has written, and whether
# the guest's QEMU has it open. For the volume with the snapshot it is the file
# below, which holds what the snapshot is of. Prints nothing for other backends.
function files {
    local data kept file directories
    directories=$(volume_directories)
    if [[ -z $directories ]]; then
        echo "This cinder does not keep its volumes in files: only the guest can say what is in them." >&2
        return 0
    fi
    data=$(check_saved cinder data_id)
    file=$(stored_file "$data")
    look_at_file "$file" "$PLACE"
    holder "$file"
    kept=$(check_saved cinder kept_id)
    file=$(stored_file "$kept")
    look_at_file "$file" 0
}

# volume_directories - prints those that the NFS driver's shares are, as far as
# they are on this node. Nothing for other drivers.
function volume_directories {
    local backend driver shares share
    backend=$(iniget "$CINDER_CONF" DEFAULT enabled_backends)
    backend=${backend%%,*}
    driver=$(iniget "$CINDER_CONF" "$backend" volume_driver)
    [[ ${driver,,} == *nfs* ]] || return 0
    shares=$(iniget "$CINDER_CONF" "$backend" nfs_shares_config)
    # Cinder's default. A line is host:/directory, and options.
    shares=$(sudo sed -n 's/^[^#:]*:\([^ ]*\).*/\1/p' "${shares:-/etc/cinder/nfs_shares}")
    for share in $shares; do
        ! sudo test -d "$share" || echo "$share"
    done
}

# stored_file VOLUME - prints its path.
function stored_file {
    local directory directories
    directories=$(volume_directories)
    for directory in $directories; do
        if sudo test -f "$directory/volume-$1"; then
            echo "$directory/volume-$1"
            return 0
        fi
    done
    check_fail "a file volume-$1 in $directories" "none"
}

# look_at_file FILE OFFSET - prints inode, size, and the sha256 of LENGTH bytes.
function look_at_file {
    local about sum
    about=$(sudo stat -c '%n: inode %i, %s bytes' "$1")
    sum=$(sudo dd if="$1" bs=512 skip=$(($2 / 512)) count=$((LENGTH / 512)) status=none | sha256sum)
    echo "$about, sha256 ${sum%% *}"
}

# holder FILE - says whether the guest's QEMU has this very file open.
function holder {
    local server pid
    server=$(check_saved cinder server_id)
    pid=$(qemu_pid "$server")
    if sudo bash -c 'for fd in /proc/"$1"/fd/*; do [[ ! $fd -ef $2 ]] || exit 0; done; exit 1' bash "$pid" "$1"; then
        echo "open by pid $pid"
    else
        echo "not open by the QEMU of server $server"
    fi
}

# By name, so that it also removes what a create that failed has left.
function remove_all {
    local id ids directory directories left
    guest_gone
    ids=$(named_ids volumes "startswith('$NAME-')")
    for id in $ids; do
        free_volume "$id"
    done
    remove_named snapshots "__eq__('$NAME')"
    remove_named volumes "startswith('$NAME-')"
    directories=$(volume_directories)
    for id in $ids; do
        for directory in $directories; do
            left=$(sudo find "$directory" -name "*$id*")
            check_same "the list of files of volume $id" "" "$left"
        done
    done
    remove_named types "__eq__('$NAME')"
    no_idle_mount
    check_account_gone "$NAME"
}

# named_ids COLLECTION TEST - the ids of those whose name passes the test, a
# method of Python's str.
function named_ids {
    local collection=$1 path="/$1/detail?all_tenants=1" member=$1
    if [[ $collection == types ]]; then
        path="/types?is_public=None" member=volume_types
    fi
    volume GET "$path" 200 | check_json "' '.join(o['id'] for o in d['$member'] if (o['name'] or '').$2)"
}

# remove_named COLLECTION TEST - and makes sure that they are gone.
function remove_named {
    local id ids end=$((SECONDS + PATIENCE))
    ids=$(named_ids "$1" "$2")
    for id in $ids; do
        volume DELETE "/$1/$id" "202|404"
    done
    while [[ -n $ids ]]; do
        ids=$(named_ids "$1" "$2")
        ((SECONDS < end)) || check_fail "none of the $1 is left within ${PATIENCE}s" "$ids"
        [[ -z $ids ]] || sleep 0.5
    done
}

# free_volume VOLUME - waits until it is detached from the server that is gone, and
# frees it by force when it does not happen.
function free_volume {
    local seen attachment attachments end=$((SECONDS + 30))
    while :; do
        seen=$(volume GET "/volumes/$1" "200|404" | check_json "d['volume']['status'] if 'volume' in d else ''")
        case $seen in
            "" | available | error*) return 0 ;;
        esac
        ((SECONDS < end)) || break
        sleep 0.5
    done
    echo "Volume $1 is $seen although its server is gone: it is freed by force."
    attachments=$(volume GET "/attachments?all_tenants=1&volume_id=$1" 200 | check_json "' '.join(a['id'] for a in d['attachments'])")
    for attachment in $attachments; do
        volume DELETE "/attachments/$attachment" "200|404" >/dev/null
    done
    volume POST "/volumes/$1/action" 202 --json-body '{"os-reset_status": {"status": "available", "attach_status": "detached"}}'
}

# no_idle_mount - no directory that nova-compute mounted for a volume is left
# mounted when no QEMU has a file in it.
function no_idle_mount {
    local base idle end=$((SECONDS + 30))
    base=$(iniget "${NOVA_CONF_DIR:-/etc/nova}/nova.conf" libvirt nfs_mount_point_base)
    while :; do
        # Nova's default.
        idle=$(idle_mounts "${base:-/var/lib/nova/mnt}")
        [[ -n $idle ]] || return 0
        ((SECONDS < end)) || check_fail "no idle mounts below ${base:-/var/lib/nova/mnt}" "$idle"
        sleep 1
    done
}

# idle_mounts DIRECTORY - prints the mounts below it in which no process has a file.
function idle_mounts {
    local mount mounts
    mounts=$(findmnt --raw --noheadings --output TARGET)
    for mount in $mounts; do
        [[ $mount == "$1/"* ]] || continue
        [[ -n $(sudo find /proc/[0-9]*/fd -lname "$mount/*" -print -quit 2>/dev/null) ]] || echo "$mount"
    done
}

# openrc has left OS_USERNAME … as the administrator's.
function log_in_as_admin {
    check_login
    endpoints
}

function log_in_as_ourselves {
    local password
    password=$(check_saved cinder password)
    check_as_user "$NAME" "$password"
    endpoints
}

# block-storage is the official name in the catalog; DevStack's of before 2024
# has volumev3 only.
function endpoints {
    guest_endpoints
    VOLUME=$(check_json "[e['url'] for t in ('block-storage', 'volumev3') for s in d['token']['catalog'] if s['type'] == t
        for e in s['endpoints'] if e['interface'] == 'public' and e['region'] == '$OS_REGION_NAME'][0].rstrip('/')" <<<"$CHECK_CATALOG")
}

# volume METHOD PATH STATUS [options of check_api]
function volume {
    local method=$1 path=$2 status=$3
    shift 3
    check_api "$method" "$VOLUME$path" "$status" "$@" --header "OpenStack-API-Version: volume $MICROVERSION"
}

# An unknown phase is no error. There is nothing that others need early.
case $1 in
    create) create ;;
    verify) verify ;;
    verify_noapi) verify_noapi ;;
    destroy) destroy ;;
esac
