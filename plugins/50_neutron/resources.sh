#!/usr/bin/env bash
#
# What must survive an upgrade of neutron: a network with a port at which a probe
# (probe.py) plays the guest, a router, a floating IP, a security group and a quota;
# what neutron has made of them on the node; and, all through the upgrade, the
# probe's traffic. early_create makes the network that the guests of others use.
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

NAME=neutron_grenade
SHARED_NAME=neutron_grenade_shared
HERE=$(cd "$(dirname "$0")" && pwd)
NEUTRON_CONF=${NEUTRON_CONF_DIR:-/etc/neutron}/neutron.conf
PUBLIC=${PUBLIC_NETWORK_NAME:-public}

# The probe's addresses; a router of its own keeps them apart from others'.
PREFIX=192.168.233.0/26
GATEWAY=192.168.233.1
ADDRESS=192.168.233.20
SHARED_PREFIX=192.168.234.0/24

# Seconds that agents may take to carry out what the API was told.
AGENTS_WITHIN=120

# --- phases

# The keys are an agreement: whoever needs a guest puts it on that network.
function early_create {
    local password network subnet router
    log_in_as_admin
    remove_project "$SHARED_NAME"
    password=$(check_account "$SHARED_NAME")
    check_as_user "$SHARED_NAME" "$password"

    network=$(make network "{\"name\": \"$SHARED_NAME\"}")
    resource_save network net_id "$network"
    subnet=$(make subnet "{\"name\": \"$SHARED_NAME\", \"network_id\": \"$network\", \"ip_version\": 4, \"cidr\": \"$SHARED_PREFIX\"}")
    resource_save network subnet_id "$subnet"
    router=$(make_router "$SHARED_NAME" "$subnet")
    resource_save network router_id "$router"
    # Neutron's policy: only an administrator shares with everybody.
    CHECK_TOKEN=$ADMIN_TOKEN neutron PUT "networks/$network" 200 --json-body '{"network": {"shared": true}}' >/dev/null
    # Agents wire it meanwhile; create waits for them.
}

function create {
    local password project group network subnet router port instance answer floating seen
    log_in_as_admin
    remove_project "$NAME"
    password=$(check_account "$NAME")
    resource_save neutron password "$password"
    project=$(project_ids "$NAME")
    resource_save neutron project_id "$project"
    CHECK_TOKEN=$ADMIN_TOKEN neutron PUT "quotas/$project" 200 \
        --json-body '{"quota": {"network": 23, "port": 47, "floatingip": 31, "security_group_rule": 89}}' >/dev/null

    log_in_as_ourselves
    group=$(make security-group "{\"name\": \"$NAME\", \"description\": \"Grüße\"}")
    resource_save neutron group_id "$group"
    make_rule "$group" '"protocol": "icmp"' >/dev/null
    make_rule "$group" '"protocol": "tcp", "port_range_min": 80, "port_range_max": 80' >/dev/null

    network=$(make network "{\"name\": \"$NAME\", \"description\": \"Grüße\"}")
    resource_save neutron network_id "$network"
    subnet=$(make subnet "{\"name\": \"$NAME\", \"network_id\": \"$network\", \"ip_version\": 4, \"cidr\": \"$PREFIX\",
        \"gateway_ip\": \"$GATEWAY\", \"dns_nameservers\": [\"192.0.2.53\"]}")
    resource_save neutron subnet_id "$subnet"
    router=$(make_router "$NAME" "$subnet")
    resource_save neutron router_id "$router"
    port=$(make port "{\"name\": \"$NAME\", \"network_id\": \"$network\", \"security_groups\": [\"$group\"],
        \"fixed_ips\": [{\"subnet_id\": \"$subnet\", \"ip_address\": \"$ADDRESS\"}]}")
    resource_save neutron port_id "$port"
    answer=$(check_random)
    resource_save neutron answer "$answer"
    plug "$port" "$answer"

    floating=$(make_floating "$port")
    resource_save neutron floating_id "$floating"
    seen=$(neutron GET "floatingips/$floating" 200 | check_json "d['floatingip']['floating_ip_address']")
    resource_save neutron floating_ip "$seen"
    # Whoever runs the upgrade pings what is saved under such a key all the time.
    resource_save neutron witness_probe "$seen"
    seen=$(gateway_of_the_world)
    resource_save neutron outside "$seen"

    wait_settled
    carries_traffic
    seen=$(state)
    resource_save neutron state "$seen"
    seen=$(on_node)
    resource_save neutron node "$seen"
}

function verify {
    local expected seen
    log_in_as_admin
    log_in_as_ourselves
    remove_second_port
    [[ $1 != post-upgrade ]] || wait_settled
    carries_traffic
    expected=$(check_saved neutron state)
    seen=$(state)
    check_lines "what neutron says" "$expected" "$seen"
    [[ $1 != post-upgrade ]] || new_port
}

# Nothing of neutron's runs but what it has started: dnsmasq, haproxy. The lease
# is a new one, from the discovery on.
function verify_noapi {
    local expected seen
    carries_traffic
    expected=$(check_saved neutron node)
    seen=$(on_node)
    check_lines "what neutron has made on the node" "$expected" "$seen"
    check_rows
}

function destroy {
    log_in_as_admin
    remove_project "$NAME"
    remove_project "$SHARED_NAME"
}

# --- who asks

function log_in_as_admin {
    check_login
    ADMIN_TOKEN=$CHECK_TOKEN
    ENDPOINT=$(check_endpoint network)/v2.0
}

function log_in_as_ourselves {
    local password
    password=$(check_saved neutron password)
    check_as_user "$NAME" "$password"
}

# neutron METHOD PATH STATUS [options of check_api]
function neutron {
    local method=$1 path=$2 status=$3
    shift 3
    check_api "$method" "$ENDPOINT/$path" "$status" "$@"
}

# --- making

# make KIND ATTRIBUTES - prints the id of what it has made.
function make {
    local member=${1//-/_}
    neutron POST "$1s" 201 --json-body "{\"$member\": $2}" | check_json "d['$member']['id']"
}

function make_rule {
    make security-group-rule "{\"security_group_id\": \"$1\", \"direction\": \"ingress\", \"ethertype\": \"IPv4\", $2}"
}

# make_router NAME SUBNET - between the subnet and the world.
function make_router {
    local public router
    public=$(public_network)
    router=$(make router "{\"name\": \"$1\", \"external_gateway_info\": {\"network_id\": \"$public\"}}")
    neutron PUT "routers/$router/add_router_interface" 200 --json-body "{\"subnet_id\": \"$2\"}" >/dev/null
    printf '%s\n' "$router"
}

function make_floating {
    local public
    public=$(public_network)
    make floatingip "{\"floating_network_id\": \"$public\", \"port_id\": \"$1\"}"
}

function public_network {
    neutron GET "networks?router:external=True&name=$PUBLIC" 200 | check_json "d['networks'][0]['id']"
}

function gateway_of_the_world {
    local public
    public=$(public_network)
    CHECK_TOKEN=$ADMIN_TOKEN neutron GET "subnets?ip_version=4&network_id=$public" 200 | check_json "d['subnets'][0]['gateway_ip']"
}

# plug PORT ANSWER - binds the port as nova does, which only services may, puts a
# probe there, and waits until the agent has wired it.
function plug {
    local port=$1 answer=$2 instance host mac
    instance=$(</proc/sys/kernel/random/uuid)
    host=$(CHECK_TOKEN=$ADMIN_TOKEN neutron GET agents 200 |
        check_json "[a['host'] for a in d['agents'] if a['agent_type'] in ('Open vSwitch agent', 'OVN Controller agent')][0]")
    mac=$(CHECK_TOKEN=$ADMIN_TOKEN neutron PUT "ports/$port" 200 --json-body "{\"port\": {\"device_id\": \"$instance\",
        \"device_owner\": \"compute:grenade\", \"binding:host_id\": \"$host\"}}" | check_json "d['port']['mac_address']")
    sudo python3 -IS "$HERE/probe.py" plug "$port" "$mac" "$instance" "$answer"
    check_until "$AGENTS_WITHIN" "port $port is ACTIVE" status_of_port "$port"
}

# Prints nothing when it is ACTIVE.
function status_of_port {
    neutron GET "ports/$1" 200 | check_json "'' if d['port']['status'] == 'ACTIVE' else d['port']['status']"
}

# --- waiting

function wait_settled {
    local network floating
    network=$(resource_get network net_id)
    [[ -z $network ]] || check_until "$AGENTS_WITHIN" "every port of network $network is ACTIVE" idle_ports "$network"
    network=$(check_saved neutron network_id)
    floating=$(check_saved neutron floating_id)
    check_until "$AGENTS_WITHIN" "every agent of neutron's lives" dead_agents
    check_until "$AGENTS_WITHIN" "every port of network $network is ACTIVE" idle_ports "$network"
    check_until "$AGENTS_WITHIN" "floating IP $floating is ACTIVE" status_of_floating "$floating"
}

function dead_agents {
    CHECK_TOKEN=$ADMIN_TOKEN neutron GET agents 200 |
        check_json "', '.join('%s on %s is dead' % (a['agent_type'], a['host']) for a in d['agents'] if not a['alive'])"
}

function idle_ports {
    CHECK_TOKEN=$ADMIN_TOKEN neutron GET "ports?network_id=$1" 200 |
        check_json "', '.join('%s of %s is %s' % (p['id'], p['device_owner'], p['status']) for p in d['ports'] if p['status'] != 'ACTIVE')
            or ('' if any(p['device_owner'] == 'network:dhcp' for p in d['ports']) else 'there is no DHCP port')"
}

function status_of_floating {
    neutron GET "floatingips/$1" 200 | check_json "'' if d['floatingip']['status'] == 'ACTIVE' else d['floatingip']['status']"
}

# --- looking

# The probe leases its address anew, reaches its router and the world, and is
# reached at its floating IP. A router without the rule for that address answers
# pings itself: it is the probe's own words that count.
function carries_traffic {
    local port outside floating answer lease
    port=$(check_saved neutron port_id)
    outside=$(check_saved neutron outside)
    floating=$(check_saved neutron floating_ip)
    answer=$(check_saved neutron answer)
    lease=$(sudo python3 -IS "$HERE/probe.py" lease "$port")
    lease=$(check_json "d['address']" <<<"$lease")
    check_same "the address that DHCP gives to port $port" "$ADDRESS" "$lease"
    check_until 10 "the probe's router answers it" silence "$port" "$GATEWAY"
    check_until 10 "the world's gateway answers the probe" silence "$port" "$outside"
    check_until 10 "the probe answers at its floating IP" silence_at "$floating" "$answer"
}

# Prints nothing when the address answers the probe.
function silence {
    sudo nsenter "--net=/run/netns/probe-$1" ping -n -q -c 1 -W 2 -s 1300 "$2" >/dev/null || echo "no answer from $2"
}

# silence_at ADDRESS ANSWER - prints nothing when that is the answer.
function silence_at {
    local said
    said=$(curl --silent --show-error --noproxy '*' --max-time 2 "http://$1/" 2>&1) || true # it is in what was said
    [[ $said == "$2" ]] || echo "$1 says '$said'"
}

# One line per thing; of each what is not the agents' own affair.
function state {
    local id
    id=$(check_saved neutron network_id)
    show "networks/$id" network id name description project_id admin_state_up status shared mtu subnets created_at
    id=$(check_saved neutron subnet_id)
    show "subnets/$id" subnet id name network_id cidr gateway_ip enable_dhcp dns_nameservers allocation_pools host_routes created_at
    id=$(check_saved neutron port_id)
    show "ports/$id" port id name network_id mac_address fixed_ips device_id device_owner security_groups status port_security_enabled created_at
    id=$(check_saved neutron router_id)
    show "routers/$id" router id name admin_state_up status external_gateway_info routes created_at
    id=$(check_saved neutron group_id)
    show "security-groups/$id" security_group id name description project_id
    neutron GET "security-group-rules?security_group_id=$id" 200 |
        check_json "sorted([r['id'], r['direction'], r['ethertype'], r['protocol'], r['port_range_min'], r['port_range_max']] for r in d['security_group_rules'])"
    id=$(check_saved neutron floating_id)
    show "floatingips/$id" floatingip id floating_ip_address fixed_ip_address port_id router_id status created_at
    id=$(check_saved neutron project_id)
    show "quotas/$id" quota network subnet port router floatingip security_group security_group_rule
}

# show PATH MEMBER ATTRIBUTE...
function show {
    local path=$1 member=$2
    shift 2
    neutron GET "$path" 200 | check_json "{k: d['$member'][k] for k in '$*'.split()}"
}

function on_node {
    local network router port floating seen
    network=$(check_saved neutron network_id)
    router=$(check_saved neutron router_id)
    port=$(check_saved neutron port_id)
    floating=$(check_saved neutron floating_ip)
    seen=$(sudo python3 -IS "$HERE/look.py" "$network" "$router" "$port" "$floating")
    check_json "chr(10).join('%s: %s' % (k, json.dumps(v, sort_keys=True)) for k, v in sorted(d.items()))" <<<"$seen"
}

function check_rows {
    local network port router group floating project rows
    network=$(check_saved neutron network_id)
    port=$(check_saved neutron port_id)
    router=$(check_saved neutron router_id)
    group=$(check_saved neutron group_id)
    floating=$(check_saved neutron floating_id)
    project=$(check_saved neutron project_id)
    rows=$(check_sql "$NEUTRON_CONF" database "
        SELECT CONCAT_WS(' ',
            (SELECT COUNT(*) FROM subnets WHERE network_id = '$network' AND cidr = '$PREFIX'),
            (SELECT COUNT(*) FROM ipallocations WHERE port_id = '$port' AND ip_address = '$ADDRESS'),
            (SELECT COUNT(*) FROM routerports WHERE router_id = '$router'),
            (SELECT COUNT(*) FROM securitygrouprules WHERE security_group_id = '$group'),
            (SELECT COUNT(*) FROM securitygroupportbindings WHERE port_id = '$port' AND security_group_id = '$group'),
            (SELECT COUNT(*) FROM floatingips WHERE id = '$floating' AND fixed_port_id = '$port'),
            (SELECT SUM(\`limit\`) FROM quotas WHERE project_id = '$project'))")
    check_same "the number of subnets, addresses, router ports, rules, bindings, floating IPs, and the sum of the quota" "1 1 2 4 1 1 190" "$rows"
}

# --- afterwards

# A new port gets an address and reaches the first one.
function new_port {
    local network group port answer
    network=$(check_saved neutron network_id)
    group=$(check_saved neutron group_id)
    port=$(make port "{\"name\": \"$NAME-new\", \"network_id\": \"$network\", \"security_groups\": [\"$group\"]}")
    resource_save neutron second_port_id "$port"
    answer=$(check_random)
    plug "$port" "$answer"
    sudo python3 -IS "$HERE/probe.py" lease "$port"
    check_until 10 "the first probe answers the new one" silence "$port" "$ADDRESS"
    remove_second_port
}

function remove_second_port {
    local port
    port=$(resource_get neutron second_port_id)
    [[ -n $port ]] || return 0
    sudo python3 -IS "$HERE/probe.py" unplug "$port"
    neutron DELETE "ports/$port" "204|404"
    resource_save neutron second_port_id ""
}

# --- removing

# remove_project NAME - with everything in it, as administrator: also what a
# create that failed has left.
function remove_project {
    local project projects
    projects=$(project_ids "$1")
    for project in $projects; do
        remove_holdings "$project"
    done
    check_account_gone "$1"
}

function project_ids {
    CHECK_TOKEN=$ADMIN_TOKEN check_api GET "$CHECK_IDENTITY/projects?name=$1&domain_id=default" 200 |
        check_json "' '.join(p['id'] for p in d['projects'])"
}

# ids PATH MEMBER [CONDITION] - prints the ids of a list, of o's that fulfil a
# Python expression.
function ids {
    neutron GET "$1" 200 | check_json "' '.join(o['id'] for o in d['$2'] if ${3:-True})"
}

function remove_holdings {
    local project=$1 id port networks routers ports interfaces
    local guests="not o['device_owner'].startswith('network:')"
    networks=$(ids "networks?project_id=$project" networks)
    routers=$(ids "routers?project_id=$project" routers)
    ports=$(ids "ports?project_id=$project" ports "$guests")
    for id in $ports; do
        sudo python3 -IS "$HERE/probe.py" unplug "$id"
    done
    remove_each floatingips "floatingips?project_id=$project" floatingips
    for id in $routers; do
        interfaces=$(ids "ports?device_owner=network:router_interface&device_id=$id" ports)
        for port in $interfaces; do
            neutron PUT "routers/$id/remove_router_interface" "200|404" --json-body "{\"port_id\": \"$port\"}" >/dev/null
        done
    done
    remove_each routers "routers?project_id=$project" routers
    remove_each ports "ports?project_id=$project" ports "$guests"
    for id in $networks; do
        neutron GET "ports?network_id=$id" 200 |
            check_json "''.join('%s (%s) of %s %s\n' % (o['id'], o['name'], o['device_owner'], o['device_id']) for o in d['ports'] if $guests)" |
            sed "/./s/^/still on network $id: port /" >&2
        neutron DELETE "networks/$id" "204|404"
    done
    remove_groups "$project"
    neutron DELETE "quotas/$project" "204|404"
    check_until 60 "nothing of project $project is on the node" left_on_node "$networks" "$routers" "$ports"
    # A DHCP agent that was at work on a network when that went makes neutron give
    # the project another default group.
    remove_groups "$project"
}

# remove_groups PROJECT - also the one that neutron makes by itself. Asked for one
# project's groups, it would first make that.
function remove_groups {
    remove_each security-groups security-groups security_groups "o['project_id'] == '$1'"
}

# remove_each COLLECTION PATH MEMBER [CONDITION]
function remove_each {
    local id found
    found=$(ids "$2" "$3" "${4:-True}")
    for id in $found; do
        neutron DELETE "$1/$id" "204|404"
    done
    [[ -z $found ]] || found=$(ids "$2" "$3" "${4:-True}")
    check_same "the list of $1" "" "$found"
}

# left_on_node NETWORKS ROUTERS PORTS - prints what is.
function left_on_node {
    local id name namespaces wired
    namespaces=" $(sudo ip netns list | cut -d ' ' -f 1 | tr '\n' ' ')"
    wired=$(sudo ovs-vsctl --timeout=30 --bare --columns=external_ids list Interface)
    for id in $1 $2 $3; do
        for name in "qdhcp-$id" "qrouter-$id" "snat-$id" "probe-$id"; do
            [[ $namespaces != *" $name "* ]] || echo "namespace $name"
        done
        [[ $wired != *"$id"* ]] || echo "Open vSwitch port of $id"
    done
}

# An unknown phase is no error.
case $1 in
    early_create) early_create ;;
    create) create ;;
    verify) verify "$2" ;;
    verify_noapi) verify_noapi ;;
    destroy) destroy ;;
esac
