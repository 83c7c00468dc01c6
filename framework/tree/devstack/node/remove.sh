#!/bin/bash
# remove.sh DIRECTORY...: stops what is left of DevStack's units, and removes the directories with all that is in them, but
# not through a mount: what is mounted there is unmounted first. Says what it found.
main() {
    set -euo pipefail
    local directory mount loop units
    if units=$(systemctl list-units --plain --no-legend --full --type=service 'devstack@*' 2>/dev/null | awk 'NF { print $1 }') && [[ -n $units ]]; then
        echo "stopped: ${units//$'\n'/ }"
        # shellcheck disable=SC2086 # a list of names
        systemctl disable --quiet --now $units
    fi
    for directory in "$@"; do
        [[ -e $directory ]] || continue
        # The last one first: one may lie in another.
        while read -r mount; do
            umount --lazy "$mount"
        done < <(awk -v top="$directory/" 'index($5 "/", top) == 1 { print $5 }' /proc/self/mountinfo | tac)
        while read -r loop; do
            losetup --detach "$loop"
        done < <(losetup --list --noheadings --output NAME,BACK-FILE 2>/dev/null | awk -v top="$directory/" 'index($2, top) == 1 { print $1 }')
        rm -rf --one-file-system -- "$directory"
        echo "removed: $directory"
    done
}
main "$@" </dev/null
