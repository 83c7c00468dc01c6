#!/bin/bash
# The processes of the units that the array "asked" names; describe.sh stands before this. A unit's processes are
# those of its control group and of the groups below. systemd names no group of an inactive unit, but a stop may
# have left processes there (KillMode=process): then the place follows from the unit's slice (systemd.slice(5)).

# slice_path SLICE: "a-b.slice" is /a.slice/a-b.slice.
slice_path() {
	local rest=${1%.slice} name='' path='' part
	[ "$rest" != - ] || return 0
	while [ -n "$rest" ]; do
		part=${rest%%-*}
		name=${name:+$name-}$part
		path=$path/$name.slice
		[ "$rest" != "$part" ] || break
		rest=${rest#*-}
	done
	printf '%s' "$path"
}

# look_into UNIT: note the processes of the unit whose properties are in "shown".
look_into() {
	local group=${shown[ControlGroup]-} top dirs=() list members pid
	printf 'unit\t%s\n' "$1"
	[ -n "$group" ] || group=$(slice_path "${shown[Slice]-}")/${shown[Id]-}
	for top in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
		[ ! -e "$top$group/cgroup.procs" ] || dirs+=("$top$group")
	done
	[ "${#dirs[@]}" -gt 0 ] || return 0
	while read -r list; do
		{ mapfile -t members <"$list"; } 2>/dev/null || continue
		for pid in "${members[@]}"; do
			# 0 is a process that this node cannot see; a hybrid host lists each process twice.
			if [ "$pid" = 0 ] || [ -n "${seen[$1 $pid]-}" ]; then
				continue
			fi
			seen[$1 $pid]=yes
			note "$1" "$pid"
		done
	done < <(find "${dirs[@]}" -name cgroup.procs)
}

declare -A seen=() shown=()
# shellcheck disable=SC2154 # asked is set before this script's beginning.
answer=$(systemctl show --property=Id,ControlGroup,Slice -- "${asked[@]}")
# One paragraph for each unit, in the order of the question.
next=0
while IFS='=' read -r key value; do
	if [ -n "$key" ]; then
		shown[$key]=$value
	else
		look_into "${asked[$next]}"
		next=$((next + 1))
		shown=()
	fi
done <<<"$answer
"
describe
