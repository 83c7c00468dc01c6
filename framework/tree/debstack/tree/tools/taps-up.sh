#!/bin/bash
# tools/taps-up.sh - sets up again what Open vSwitch's datapath in user space has set down.
#
# That datapath makes a device promiscuous by writing all of the device's flags as it knew them a moment ago. When libvirt,
# or an agent, has set the device up within that moment, it is down again: its guest never gets an address, and
# ovs-vswitchd logs "error sending Ethernet packet …: Network is down". Of 400 taps, with six busy loops on two
# processors, it left 10 down, and with this tool none. (The kernel's datapath has no such moment.) Nobody else in this cloud
# sets a tap down.

set -euo pipefail

# up INDEX NAME FLAGS… - from a line as ip shows a link: "5: tap1234@if4: <BROADCAST,MULTICAST> mtu 1500 …".
up() {
    local name=${2%:} flags=,${3//[<>]/},
    name=${name%%@*}
    if [[ $1 == +([0-9]): && $name == tap* && $3 == \<* && $flags == *,PROMISC,* && $flags != *,UP,* ]]; then
        # It may be gone by now.
        if ip link set dev "$name" up; then echo "$name was down"; fi
    fi
}

coproc ip -oneline monitor link
# What was down before the monitor heard.
while read -r index name flags _; do
    up "$index" "$name" "$flags"
done < <(ip -oneline link)
while read -r index name flags _ <&"${COPROC[0]}"; do
    up "$index" "$name" "$flags"
done
