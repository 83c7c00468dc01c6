#!/bin/bash
# The beginning of each script that probe.go runs in a node. "note UNIT PID" takes down a process; "describe"
# then prints, for each, one line: the word process, the unit (or "-"), and number, start time, executable, root
# and command line, separated by tabs. A process that ends while it is looked at is left out: it does not run.
# All of them are looked at by a few calls together: a call costs more than all the looking.
#
# The kernel names a process's root as far as it can be reached from here. To one in a mount namespace of its own
# no path leads, and the kernel says "/": then the root is the mount point that is the same directory.
set -euo pipefail

pids=() units=()
declare -A links=() places=()

note() {
	units+=("$1")
	pids+=("$2")
}

# look FORMAT ARGUMENT…: what find says of its arguments themselves. One that is gone by now makes its exit code
# 1; that it is gone shows by its absence.
look() {
	local format=$1
	shift
	find "$@" -maxdepth 0 -printf "$format" 2>/dev/null || true
}

find_places() {
	local points id point
	[ "${#places[@]}" = 0 ] || return 0
	mapfile -t points < <(cut -d' ' -f5 /proc/self/mountinfo)
	while IFS=$'\t' read -r id point; do
		[ -n "${places[$id]-}" ] || places[$id]=$point
	done < <(look '%D:%i\t%p\n' -L "${points[@]}")
}

describe() {
	local i pid key value fields exe root id words line
	[ "${#pids[@]}" -gt 0 ] || return 0
	while IFS=$'\t' read -r key value; do
		links[$key]=$value
	done < <(
		cd /proc
		look '%p\t%l\n' "${pids[@]/%//exe}" "${pids[@]/%//root}"
		look '%p id\t%D:%i\n' -L / "${pids[@]/%//root}"
	)
	for i in "${!pids[@]}"; do
		pid=${pids[$i]}
		# Not $(<file): when the file is missing that ends bash 5.2 whatever stands behind it.
		{ mapfile -d '' -t words <"/proc/$pid/stat"; } 2>/dev/null || continue
		# From the state on, the third field of proc(5): the name before it may hold anything.
		read -ra fields <<<"${words[0]##*) }"
		case ${fields[0]} in Z | X) continue ;; esac
		exe=${links[$pid/exe]-}
		root=${links[$pid/root]-}
		id=${links[$pid/root id]-}
		if [ -z "$root" ] || [ -z "$id" ]; then
			continue
		fi
		if [ "$root" = / ] && [ "$id" != "${links[/ id]}" ]; then
			find_places
			root=${places[$id]-unknown ($id)}
			exe=${exe:+$root$exe}
		fi
		{ mapfile -d '' -t words <"/proc/$pid/cmdline"; } 2>/dev/null || continue
		line=${words[*]-}
		printf 'process\t%s\t%s\t%s\t%s\t%s\t%s\n' \
			"${units[$i]}" "$pid" "${fields[19]}" "$exe" "$root" "${line//[[:cntrl:]]/ }"
	done
	# Not the exit code of the last look: that a process is gone is an answer.
	return 0
}
