#!/bin/bash
# The processes that listen on the TCP port that "port" holds; describe.sh stands before this. ss names every
# process that has the socket open; its unit is the last part of its control group that is named like one.

# shellcheck disable=SC2154 # port is set before this script's beginning.
sockets=$(ss --no-header --tcp --listening --numeric --processes "sport = :$port")
while read -r pid; do
	unit=$(grep -o '[^/]*\.service' "/proc/$pid/cgroup" 2>/dev/null | tail -n 1 || true)
	note "${unit:--}" "$pid"
done < <(grep -o 'pid=[0-9]*' <<<"$sockets" | cut -d= -f2 | sort -nu)
describe
