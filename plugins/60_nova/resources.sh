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

# Not before here: the trees' files are written for errexit alone.
set -o nounset -o pipefail
shopt -s inherit_errexit

NAME=nova_grenade
NOVA_CONF=${NOVA_CONF_DIR:-/etc/nova}/nova.conf
# The highest of Zed (nova's REST API version history): every release since has
# it, and both sides answer in the same shape.
MICROVERSION=2.93
# Seconds in which a guest must become active, answer, and be gone.
PATIENCE=240

function create {
    local network password server port address state seen
    network=$(check_saved network net_id)
    check_login
    remove_all

    password=$(check_account "$NAME")
    resource_save nova password "$password"
    log_in_as_ourselves

    make_security_group
    # The last one in which nova makes the keys itself.
    MICROVERSION=2.91 nova POST /os-keypairs 201 --json-body "{\"keypair\": {\"name\": \"$NAME\", \"type\": \"ssh\"}}" >/dev/null
    server=$(make_server "$network")
    resource_save nova server_id "$server"
    await_server "$server" ACTIVE

    port=$(network GET "/ports?device_id=$server" 200 | check_json "d['ports'][0]['id']")
    address=$(make_floating_ip "$port")
    resource_save nova address "$address"
    resource_save nova witness_guest "$address"
    await_answer "$server" "$address"
    await_facts "$server" "$address"

    write_to_disk
    state=$(guest GET state)
    resource_save nova boot_id "$(field boot_id <<<"$state")"
    resource_save nova uptime "$(field uptime <<<"$state")"
    seen=$(qemu_process)
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
    seen=$(qemu_process)
    check_same "the guest's QEMU process with its start time" "$expected" "$seen"
    seen=$(sudo virsh --quiet --connect qemu:///system domstate "$server")
    check_same "the state of libvirt domain $server" running "$seen"

    ping_check_public "$address" 10
    state=$(guest GET state)
    expected=$(check_saved nova boot_id)
    seen=$(field boot_id <<<"$state")
    check_same "the guest's boot id" "$expected" "$seen"
    expected=$(check_saved nova uptime)
    seen=$(field uptime <<<"$state")
    [[ $(check_json "d[1] > d[0]" <<<"[$expected, $seen]") == true ]] || check_fail "the guest's uptime is above ${expected}s" "${seen}s"

    expected=$(check_saved nova sha256)
    seen=$(guest GET "read?disk=vda&$(check_saved nova place)" | sha256sum | cut -d " " -f 1)
    check_same "the sha256 of what the guest reads from its disk" "$expected" "$seen"
}

function make_security_group {
    local group rule
    group=$(network POST /security-groups 201 --json-body "{\"security_group\": {\"name\": \"$NAME\"}}" | check_json "d['security_group']['id']")
    for rule in '"protocol": "icmp"' '"protocol": "tcp", "port_range_min": 80, "port_range_max": 80'; do
        network POST /security-group-rules 201 --json-body "{\"security_group_rule\": {\"security_group_id\": \"$group\",
            \"direction\": \"ingress\", \"ethertype\": \"IPv4\", $rule}}" >/dev/null
    done
}

# make_server NETWORK - prints the server's id. Nova makes its port.
function make_server {
    local endpoint image flavor
    endpoint=$(check_endpoint image)
    image=$(check_api GET "${endpoint%/v2}/v2/images?name=$DEFAULT_IMAGE_NAME" 200 | check_json "d['images'][0]['id']")
    flavor=$(nova GET /flavors 200 | check_json "[f['id'] for f in d['flavors'] if f['name'] == '$DEFAULT_INSTANCE_TYPE'][0]")
    nova POST /servers 202 --json-body "{\"server\": {\"name\": \"$NAME\", \"imageRef\": \"$image\", \"flavorRef\": \"$flavor\",
        \"key_name\": \"$NAME\", \"networks\": [{\"uuid\": \"$1\"}], \"security_groups\": [{\"name\": \"$NAME\"}],
        \"metadata\": {\"grenade\": \"made before the upgrade\"}, \"tags\": [\"grenade\"], \"description\": \"Grüße\"}}" |
        check_json "d['server']['id']"
}

# await_server SERVER STATUS - one in ERROR ends it at once, with nova's fault.
function await_server {
    local seen end=$((SECONDS + PATIENCE))
    while :; do
        seen=$(nova GET "/servers/$1" 200 | check_json "d['server']['status'] + ' ' + (d['server'].get('fault') or {}).get('message', '')")
        case $seen in
            "$2 "*) return 0 ;;
            "ERROR "*) check_fail "server $1 becomes $2" "$seen" ;;
        esac
        ((SECONDS < end)) || check_fail "server $1 is $2 within ${PATIENCE}s" "$seen"
        sleep 0.5
    done
}

# make_floating_ip PORT - prints the address.
function make_floating_ip {
    local public
    public=$(network GET "/networks?name=$PUBLIC_NETWORK_NAME" 200 | check_json "d['networks'][0]['id']")
    network POST /floatingips 201 --json-body "{\"floatingip\": {\"floating_network_id\": \"$public\", \"port_id\": \"$1\",
        \"description\": \"$NAME\"}}" | check_json "d['floatingip']['floating_ip_address']"
}

# await_answer SERVER ADDRESS
function await_answer {
    local end=$((SECONDS + PATIENCE))
    until curl --silent --fail --noproxy '*' --max-time 3 --output /dev/null "http://$2/cgi-bin/state"; do
        await_server "$1" ACTIVE
        if ((SECONDS >= end)); then
            echo "The end of the guest's console:" >&2
            nova POST "/servers/$1/action" 200 --json-body '{"os-getConsoleOutput": {"length": 20}}' | check_json "d['output']" >&2
            check_fail "the guest answers on $2 within ${PATIENCE}s" "no answer"
        fi
        sleep 0.3
    done
}

# await_facts SERVER ADDRESS - neutron tells nova of the address, and the agent
# neutron that it is there, a little after it works.
function await_facts {
    local seen end=$((SECONDS + PATIENCE))
    while :; do
        seen=$(nova GET "/servers/$1" 200 | check_json "[a['addr'] for n in d['server']['addresses'].values() for a in n]")
        seen+=$(network GET "/floatingips?description=$NAME" 200 | check_json "d['floatingips'][0]['status']")
        [[ $seen != *"\"$2\""*ACTIVE ]] || return 0
        ((SECONDS < end)) || check_fail "nova shows $2, and neutron that it is ACTIVE, within ${PATIENCE}s" "$seen"
        sleep 0.5
    done
}

# Random bytes, far behind what the image brings.
function write_to_disk {
    local bytes size offset seen expected
    size=$(guest GET state | sed -n 's/^disk=vda .* //p')
    offset=$((size / 2 / 4096 * 4096))
    bytes=$(mktemp -p "$SAVE_DIR" .nova.XXXXXX)
    head -c 65536 /dev/urandom >"$bytes"
    expected=$(sha256sum <"$bytes" | cut -d " " -f 1)
    seen=$(guest POST "write?disk=vda&offset=$offset" --data-binary "@$bytes")
    rm -f "$bytes"
    check_same "the sha256 of what the guest has written to its disk" "$expected" "$seen"
    resource_save nova place "offset=$offset&length=65536"
    resource_save nova sha256 "$expected"
}

# guest METHOD PROGRAM[?QUERY] [options of check_api] - asks the guest itself.
function guest {
    local method=$1 question=$2 address
    shift 2
    address=$(check_saved nova address)
    CHECK_TOKEN='' check_api "$method" "http://$address/cgi-bin/$question" 200 "$@"
}

# field NAME - prints the value of one of the lines name=value on stdin.
function field {
    sed -n "s/^$1=//p"
}

# Pid and start time (in ticks since the node's boot, field 22 of proc(5)'s stat)
# of the process that runs the guest: libvirt gives it the server's id.
function qemu_process {
    local server pid stat fields
    server=$(check_saved nova server_id)
    pid=$(qemu_pid "$server")
    if [[ ! $pid =~ ^[0-9]+$ ]]; then
        check_fail "one QEMU process runs server $server" "pids: '$pid'"
        return 1
    fi
    stat=$(cat "/proc/$pid/stat")
    # Behind the name, which may hold blanks, begins the third field.
    read -r -a fields <<<"${stat##*) }"
    echo "pid $pid started ${fields[19]}"
}

# qemu_pid SERVER - prints the pid; nothing when there is none.
function qemu_pid {
    pgrep --full "^[^ ]*qemu[^ ]* .*-uuid $1( |\$)" || true
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
    local server servers id user project
    NOVA=$(check_endpoint compute)
    NETWORK=$(check_endpoint network)
    servers=$(named_servers)
    for server in $servers; do
        nova DELETE "/servers/$server" "204|404"
    done
    for server in $servers; do
        await_gone "$server"
    done
    remove_named floatingips description
    remove_named ports name
    remove_named security-groups name security_groups
    project=$(check_api GET "$CHECK_IDENTITY/projects?name=$NAME&domain_id=default" 200 | check_json "' '.join(o['id'] for o in d['projects'])")
    for id in $project; do
        # Neutron gave it to the project, and nobody else removes it. Asked for the
        # project's groups, it would make it anew.
        remove_found security-groups name=default security_groups "o['project_id'] == '$id'"
    done
    user=$(check_api GET "$CHECK_IDENTITY/users?name=$NAME&domain_id=default" 200 | check_json "' '.join(o['id'] for o in d['users'])")
    for id in $user; do
        nova DELETE "/os-keypairs/$NAME?user_id=$id" "202|204|404"
    done
    check_account_gone "$NAME"
}

function named_servers {
    nova GET "/servers?all_tenants=1&name=^$NAME\$" 200 | check_json "' '.join(s['id'] for s in d['servers'])"
}

# await_gone SERVER - gone from nova's API, from libvirt and from the disk.
function await_gone {
    local seen directory end=$((SECONDS + PATIENCE))
    while :; do
        # The API's answer for what is gone has no server.
        seen=$(nova GET "/servers/$1" "200|404" | check_json "d['server']['status'] + ' ' + str(d['server']['OS-EXT-STS:task_state'])
            + ' ' + (d['server'].get('fault') or {}).get('message', '') if 'server' in d else ''")
        [[ -n $seen ]] || break
        [[ $seen != "ERROR None"* ]] || check_fail "nova deletes server $1" "$seen"
        ((SECONDS < end)) || check_fail "server $1 is gone within ${PATIENCE}s" "$seen"
        sleep 0.5
    done
    seen=$(sudo virsh --quiet --connect qemu:///system list --all --uuid | grep -x "$1") || true
    check_same "the list of libvirt domains $1" "" "$seen"
    seen=$(qemu_pid "$1")
    check_same "the list of QEMU processes of server $1" "" "$seen"
    directory=$(iniget "$NOVA_CONF" DEFAULT instances_path)
    # Nova's default.
    directory=${directory:-/var/lib/nova/instances}/$1
    seen=$(sudo bash -c '[[ ! -e $1 ]] || echo "$1"' bash "$directory")
    check_same "the list of directories of server $1" "" "$seen"
}

# remove_named COLLECTION ATTRIBUTE [MEMBER] - removes neutron's objects of our name.
function remove_named {
    remove_found "$1" "$2=$NAME" "${3:-$1}"
}

# remove_found COLLECTION QUERY MEMBER [CONDITION] - the condition is one on o.
function remove_found {
    local id ids wanted="' '.join(o['id'] for o in d['$3'] if ${4:-True})"
    ids=$(network GET "/$1?$2" 200 | check_json "$wanted")
    for id in $ids; do
        network DELETE "/$1/$id" "204|404"
    done
    ids=$(network GET "/$1?$2" 200 | check_json "$wanted")
    check_same "the list of $1 with $2" "" "$ids"
}

function log_in_as_ourselves {
    local password
    password=$(check_saved nova password)
    check_as_user "$NAME" "$password"
    NOVA=$(check_endpoint compute)
    NETWORK=$(check_endpoint network)
}

# nova METHOD PATH STATUS [options of check_api]
function nova {
    local method=$1 path=$2 status=$3
    shift 3
    check_api "$method" "${NOVA%/v2.1}/v2.1$path" "$status" "$@" --header "OpenStack-API-Version: compute $MICROVERSION"
}

# network METHOD PATH STATUS [options of check_api]
function network {
    local method=$1 path=$2 status=$3
    shift 3
    check_api "$method" "${NETWORK%/v2.0}/v2.0$path" "$status" "$@"
}

# An unknown phase is no error. There is nothing that others need early.
case $1 in
    create) create ;;
    verify) verify ;;
    verify_noapi) verify_noapi ;;
    destroy) destroy ;;
esac
