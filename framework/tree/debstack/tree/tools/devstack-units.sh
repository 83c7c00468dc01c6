#!/bin/bash
# devstack-units.sh: gives every service of this cloud units of DevStack's names, devstack@g-api and so on, that come and go with
# Debian's. Upstream Grenade's own functions ask systemd for them, and else look for the name among the processes, where g-api
# stands nowhere. Nothing of ours needs them: this is for whoever runs upstream's grenade.sh on a cloud of ours, at base, once.
set -o errexit -o nounset -o pipefail

# shellcheck source=../stackrc
source "$(dirname "$0")/../stackrc"

# companion NAME UNIT: a unit devstack@NAME that is active while UNIT is.
companion() {
    printf '[Unit]\nDescription=%s under the name that DevStack gives it\nBindsTo=%s.service\nAfter=%s.service\n' "$2" "$2" "$2" |
        sudo tee "/etc/systemd/system/devstack@$1.service" >/dev/null
    printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=%s.service\n' "$2" |
        sudo tee -a "/etc/systemd/system/devstack@$1.service" >/dev/null
    # What `systemctl enable` would make.
    sudo mkdir -p "/etc/systemd/system/$2.service.wants"
    sudo ln -sfn "/etc/systemd/system/devstack@$1.service" "/etc/systemd/system/$2.service.wants/devstack@$1.service"
}

for lib in "$RC_DIR"/lib/*; do
    [[ -n $(lib_header "${lib##*/}" services) ]] || continue
    # shellcheck source=/dev/null
    source "$lib"
done
names=()
for name in ${ENABLED_SERVICES//,/ }; do
    unit=${SERVICE_UNITS[$name]:-}
    # A name that stands for several units has none that could be it.
    if [[ -n $unit && $unit != *' '* ]]; then
        companion "$name" "$unit"
        names+=("devstack@$name.service")
    fi
done
sudo systemctl daemon-reload
if ((${#names[@]} > 0)); then
    sudo systemctl start "${names[@]}"
    printf '%s\n' "${names[@]}"
fi
