#!/bin/sh
# Turns a fresh root into one that any run can boot: nothing of the building host is left in it, no service starts by
# itself, and the user of the shell contract exists. mmdebstrap runs it on the host as
#
#     customize.sh <root> <file for the InRelease file>
#
# before it removes apt's lists. What depends on a setting of the run is not done here but in Root.PrepareUpper.
set -eu
root=$1
release=$2

save_release() {
    # The only InRelease file there: the state of the archive that was really installed from.
    cat "$root"/var/lib/apt/lists/*InRelease >"$release"
}

forget_the_host() {
    # mmdebstrap copies these two, so that maintainer scripts have a network.
    : >"$root/etc/resolv.conf"
    echo grenade >"$root/etc/hostname"
    printf '%s\n' '127.0.0.1 localhost grenade' '::1 localhost ip6-localhost ip6-loopback' >"$root/etc/hosts"
    # Empty, not missing: each boot gets an id of its own and is not taken for a first boot (machine-id(5)).
    : >"$root/etc/machine-id"
    rm -f "$root/usr/sbin/policy-rc.d" "$root/var/lib/dbus/machine-id" "$root/var/lib/systemd/random-seed"
}

silence_services() {
    # Debian enables what it installs. Here the tree starts what it wants, when it wants; so by preset everything that
    # can be enabled is not, timers and sockets included.
    mkdir -p "$root/etc/systemd/system-preset"
    printf '%s\n' 'enable systemd-networkd.service' 'disable *' >"$root/etc/systemd/system-preset/00-grenade.preset"
    chroot "$root" systemctl preset-all
    # preset-all knows units only; a script in init.d without a unit is enabled by its links.
    find "$root"/etc/rc[S2345].d -name 'S*' -delete
    # The node waits for its address itself; this one waits two minutes for links that a container does not have.
    chroot "$root" systemctl mask systemd-networkd-wait-online.service systemd-firstboot.service
}

add_stack_user() {
    chroot "$root" groupadd --gid 1000 stack
    chroot "$root" useradd --uid 1000 --gid 1000 --home-dir /opt/stack --no-create-home --shell /bin/bash stack
    chroot "$root" install -d -o stack -g stack -m 0755 /opt/stack
    cat >"$root/etc/sudoers.d/50_stack" <<'EOF'
stack ALL=(ALL:ALL) NOPASSWD: ALL
# By these the host finds, and ends, whatever a script of the run has started.
Defaults:stack env_keep += "GRENADE_RUN GRENADE_SCRIPT"
EOF
    chmod 0440 "$root/etc/sudoers.d/50_stack"
    chroot "$root" visudo --check --quiet
}

save_release
forget_the_host
silence_services
add_stack_user
