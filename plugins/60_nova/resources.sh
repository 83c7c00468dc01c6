#!/usr/bin/env bash
#
# What must survive an upgrade of nova: a running guest that an ordinary user has
# started on the network that neutron's early_create made. It has to be the very
# same run of it, by its boot id and its QEMU process, reachable on its floating
# address, with what was written to its disk. The image must be one whose guests
# answer over HTTP, as $DEFAULT_IMAGE_NAME of this project's own cloud does.
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

NAME=nova_grenade

function create {
    local network password server port address state seen
    network=$(check_saved network net_id)
    check_login
    remove_all

    password=$(check_account "$NAME")
    resource_save nova password "$password"
    log_in_as_ourselves

    guest_security_group
    # The last one in which nova makes the keys itself.
    NOVA_MICROVERSION=2.91 nova POST /os-keypairs 201 --json-body "{\"keypair\": {\"name\": \"$NAME\", \"type\": \"ssh\"}}" >/dev/null
    server=$(make_server "$network")
    resource_save nova server_id "$server"
    await_server "$server" ACTIVE

    port=$(network GET "/ports?device_id=$server" 200 | check_json "d['ports'][0]['id']")
    address=$(guest_floating_ip "$port")
    resource_save nova address "$address"
    resource_save nova witness_guest "$address"
    await_answer "$server" "$address"
    await_facts "$server" "$address"

    write_to_disk "$address"
    state=$(guest "$address" GET state)
    resource_save nova boot_id "$(field boot_id <<<"$state")"
    resource_save nova uptime "$(field uptime <<<"$state")"
    seen=$(qemu_process "$server")
    resource_save nova qemu "$seen"
    seen=$(state)
    resource_save nova state "$seen"
}

function verify {
    local expected seen
    verify_guest
    log_in_as_ourselves
    expected=$(check_saved nova state)
    seen=$(state)
    check_same "what nova says of the server, and neutron of its address" "$expected" "$seen"
}

function verify_noapi {
    verify_guest
}

function destroy {
    check_login
    remove_all
}

# The guest as it is, whatever the APIs say of it.
function verify_guest {
    local server address expected seen state
    server=$(check_saved nova server_id)
    address=$(check_saved nova address)

    expected=$(check_saved nova qemu)
    seen=$(qemu_process "$server")
    check_same "the guest's QEMU process with its start time" "$expected" "$seen"
    seen=$(sudo virsh --quiet --connect qemu:///system domstate "$server")
    check_same "the state of libvirt domain $server" running "$seen"

    ping_check_public "$address" 10
    state=$(guest "$address" GET state)
    expected=$(check_saved nova boot_id)
    seen=$(field boot_id <<<"$state")
    check_same "the guest's boot id" "$expected" "$seen"
    expected=$(check_saved nova uptime)
    seen=$(field uptime <<<"$state")
    [[ $(check_json "d[1] > d[0]" <<<"[$expected, $seen]") == true ]] || check_fail "the guest's uptime is above ${expected}s" "${seen}s"

    expected=$(check_saved nova sha256)
    seen=$(guest_sum "$address" "read?disk=vda&$(check_saved nova place)")
    check_same "the sha256 of what the guest reads from its disk" "$expected" "$seen"
}

# make_server NETWORK - prints the server's id. Nova makes its port.
function make_server {
    local image flavor
    image=$(guest_image)
    flavor=$(guest_flavor)
    nova POST /servers 202 --json-body "{\"server\": {\"name\": \"$NAME\", \"imageRef\": \"$image\", \"flavorRef\": \"$flavor\",
        \"key_name\": \"$NAME\", \"networks\": [{\"uuid\": \"$1\"}], \"security_groups\": [{\"name\": \"$NAME\"}],
        \"metadata\": {\"grenade\": \"made before the upgrade\"}, \"tags\": [\"grenade\"], \"description\": \"Grüße\"}}" |
        check_json "d['server']['id']"
}

# await_facts SERVER ADDRESS - neutron tells nova of the address, and the agent
# neutron that it is there, a little after it works.
function await_facts {
    local seen end=$((SECONDS + GUEST_PATIENCE))
    while :; do
        seen=$(network GET "/floatingips?description=$NAME" 200 | check_json "d['floatingips'][0]['status']")
        if [[ $seen == ACTIVE ]]; then
            seen+=$(nova GET "/servers/$1" 200 | check_json "[a['addr'] for n in d['server']['addresses'].values() for a in n]")
        fi
        [[ $seen != ACTIVE*"\"$2\""* ]] || return 0
        ((SECONDS < end)) || check_fail "nova shows $2, and neutron that it is ACTIVE, within ${GUEST_PATIENCE}s" "$seen"
        sleep 0.5
    done
}

# write_to_disk ADDRESS - random bytes, far behind what the image brings.
function write_to_disk {
    local bytes size offset seen expected
    size=$(guest "$1" GET state | sed -n 's/^disk=vda .* //p')
    offset=$((size / 2 / 4096 * 4096))
    bytes=$(mktemp -p "$SAVE_DIR" .nova.XXXXXX)
    head -c 65536 /dev/urandom >"$bytes"
    expected=$(sha256sum <"$bytes" | cut -d " " -f 1)
    seen=$(guest "$1" POST "write?disk=vda&offset=$offset" --data-binary "@$bytes")
    rm -f "$bytes"
    check_same "the sha256 of what the guest has written to its disk" "$expected" "$seen"
    resource_save nova place "offset=$offset&length=65536"
    resource_save nova sha256 "$expected"
}

# Everything that nova says of the server that is not its own affair, and how it
# is reached.
function state {
    local server
    server=$(check_saved nova server_id)
    # updated: nova writes to the row of a server that nobody has touched.
    nova GET "/servers/$server" 200 | check_json "{k: v for k, v in d['server'].items() if k not in ('links', 'updated')}"
    nova GET "/servers/$server/os-interface" 200 | check_json d
    nova GET "/os-keypairs/$NAME" 200 | check_json d
    network GET "/floatingips?description=$NAME" 200 |
        check_json "[{k: f[k] for k in ('id', 'floating_ip_address', 'fixed_ip_address', 'port_id', 'router_id', 'status')} for f in d['floatingips']]"
}

# By name, so that it also removes what a create that failed has left.
function remove_all {
    local id users
    guest_endpoints
    guest_gone
    users=$(check_api GET "$CHECK_IDENTITY/users?name=$NAME&domain_id=default" 200 | check_json "' '.join(o['id'] for o in d['users'])")
    for id in $users; do
        nova DELETE "/os-keypairs/$NAME?user_id=$id" "202|204|404"
    done
    check_account_gone "$NAME"
}

function log_in_as_ourselves {
    local password
    password=$(check_saved nova password)
    check_as_user "$NAME" "$password"
    guest_endpoints
}

# An unknown phase is no error. There is nothing that others need early.
case $1 in
    create) create ;;
    verify) verify ;;
    verify_noapi) verify_noapi ;;
    destroy) destroy ;;
esac
