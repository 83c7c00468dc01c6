#!/bin/bash
# stack.sh: brings up a new cloud at this side's release, with the services that local.conf enables.
#
# Runs in the node, as a user with passwordless sudo. Prints a line per step: seconds since the beginning, seconds that the step
# took, its name; the output of a step is in $LOGDIR, and its end is printed when the step fails.
set -o errexit -o nounset -o pipefail

TOP_DIR=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=stackrc
source "$TOP_DIR/stackrc"
for lib in stack database rpc_backend memcached tls apache keystone glance placement swift; do
    # shellcheck source=/dev/null
    source "$TOP_DIR/lib/$lib"
done

# Whatever ends this script ends all that its jobs have started, too, be it root's.
descendants() {
    local child
    for child in $(pgrep --parent "$1"); do
        descendants "$child"
        echo "$child"
    done
}
end_jobs() {
    local status=$? process
    for process in $(descendants $$); do sudo kill "$process" 2>/dev/null || :; done
    exit "$status"
}
trap end_jobs EXIT

base_only stack.sh
for name in ADMIN_PASSWORD DATABASE_PASSWORD RABBIT_PASSWORD SERVICE_PASSWORD; do
    [[ -n ${!name:-} ]] || die $LINENO "$name is not set: it belongs into $TOP_DIR/local.conf"
done
mkdir -p "$LOGDIR" "$SERVICE_DIR" 2>/dev/null || sudo install -d -o "$STACK_USER" "$LOGDIR" "$SERVICE_DIR"
STEPS_BEGIN=${EPOCHREALTIME/./}

# services: the enabled ones of those that this tree has, in the order in which they need each other.
services=()
for name in keystone glance placement swift; do
    if is_service_enabled "$name"; then services+=("$name"); fi
done
known=" mysql rabbit $(for name in keystone glance placement swift; do lib_header $name services; done | paste -s -d ' ') "
for name in ${ENABLED_SERVICES//,/ }; do
    [[ $known == *" $name "* ]] || die $LINENO "ENABLED_SERVICES has $name; debstack knows$known"
done

# write_configs: all of them, before anything starts. Nothing of an earlier cloud may run on.
write_configs() {
    local service
    for service in "${services[@]}"; do "stop_$service"; done
    install_memcached
    if is_service_enabled mysql; then install_database; configure_database; fi
    if is_service_enabled rabbit; then install_rpc_backend; configure_rpc_backend; fi
    for service in "${services[@]}"; do
        stack_install_service "$service"
        "configure_$service"
    done
    merge_config_group "$TOP_DIR/local.conf" post-config
    sudo systemctl daemon-reload
}

# all_accounts: what all enabled services need in keystone, by one process.
all_accounts() {
    local service
    for service in "${services[@]}"; do "${service}_statements"; done | accounts
}

# bring_up SERVICE: schema and start of a service that has nothing to wait for but the database; its accounts are needed by its
# first client, not by its start.
bring_up() {
    step "$1: schema" "init_$1"
    step "$1: start until it answers" "start_$1"
}

step "packages and config" write_configs
# The broker takes longest, and is the last thing that anything here needs.
if is_service_enabled rabbit; then async_run rabbit step "rabbitmq: start" start_rpc_backend; fi
async_run memcached step "memcached: start" start_memcached
if is_service_enabled mysql; then step "mariadb: start" start_database; fi

for name in "${services[@]}"; do
    [[ $name == keystone ]] || async_run "$name" bring_up "$name"
done
if is_service_enabled keystone; then
    step "keystone: schema" init_keystone
    async_run bootstrap step "keystone: bootstrap" bootstrap_keystone
    async_wait memcached
    step "keystone: start until it answers" start_keystone
    async_wait bootstrap
    step "all accounts and endpoints" all_accounts
fi
async_wait memcached rabbit "${services[@]}"
merge_config_group "$TOP_DIR/local.conf" test-config
total=$((${EPOCHREALTIME/./} - STEPS_BEGIN))
printf '%6.1f s           %s is up: %s\n' "$(_seconds "$total")" "${DEBSTACK_RELEASE:-the cloud}" "${services[*]}"
