#!/bin/sh
# Removes what extra-setup.sh has told apt, and the state of the extra source: what reads the lists afterwards shall find
# the archive's only. mmdebstrap runs it on the host as
#
#     extra-forget.sh <root>
set -eu
root=$1
lists=$root/var/lib/apt/lists

# archives: prints the list files of all other sources. One file may be of both: a component of the archive's own.
archives() {
    # shellcheck disable=SC2016 # apt's variables
    APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get indextargets --no-release-info \
        --format '$(SOURCESENTRY)|$(FILENAME)' 'Created-By: Packages' |
        sed -n '/00-grenade-extra\.list:/d; s/^[^|]*|//p'
}

known=$(archives)
for release in "$lists"/*InRelease; do
    case $known in
    *"/$(basename "${release%InRelease}")"*) ;;
    *) rm -f "$release" ;;
    esac
done
rm "$root/etc/apt/sources.list.d/00-grenade-extra.list" "$root/etc/apt/preferences.d/00-grenade-extra"
