#!/bin/sh
# Tells apt of the extra packages and that they are preferred, before it fetches any list. mmdebstrap runs it on the host as
#
#     extra-setup.sh <root> <directory with extra.list and extra.pref>
set -eu
root=$1
from=$2

install -D -m 0644 "$from/extra.list" "$root/etc/apt/sources.list.d/00-grenade-extra.list"
install -D -m 0644 "$from/extra.pref" "$root/etc/apt/preferences.d/00-grenade-extra"
