#!/bin/sh
# Says what was unpacked, and from which state of the archive. mmdebstrap runs it on the host as
#
#     extract.sh <directory> <file for the InRelease file> <file for the packages>
#
# before it removes what it has fetched. The packages become lines "<name> <version>".
set -eu
root=$1
release=$2
packages=$3

cat "$root"/var/lib/apt/lists/*InRelease >"$release"
for deb in "$root"/var/cache/apt/archives/*.deb; do
    # shellcheck disable=SC2016 # dpkg-deb's variables
    dpkg-deb --show --showformat='${Package} ${Version}\n' "$deb"
done >"$packages"
