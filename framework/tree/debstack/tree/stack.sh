#!/bin/bash
# stack.sh: brings up a new cloud at this side's release, with the services that local.conf enables.
#
# Runs in the node, as a user with passwordless sudo. Prints a line per step: seconds since the beginning, seconds that the step
# took, its name; the output of a step is in $LOGDIR, and its end is printed when the step fails.
#
# stack.sh --again starts the cloud that an earlier stack.sh has made in this node and unstack.sh has stopped: its data and its
# configs are kept.
set -o errexit -o nounset -o pipefail

case ${1:-} in
    '') AGAIN='' ;;
    --again) AGAIN=1 ;;
    *)
        echo "usage: stack.sh [--again]" >&2
        exit 2
        ;;
esac

TOP_DIR=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=stackrc
source "$TOP_DIR/stackrc"
if has_plugins; then
    fetch_plugins
    run_phase override_defaults
fi
# All services that this tree has, in the order in which they need each other.
all_services=(keystone glance placement swift neutron nova cinder horizon)
for lib in stack openstackclient database rpc_backend memcached tls apache "${all_services[@]}"; do
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
    step_evidence "$status"
    for process in $(descendants $$); do sudo kill "$process" 2>/dev/null || :; done
    exit "$status"
}
trap end_jobs EXIT

base_only stack.sh
for name in ADMIN_PASSWORD DATABASE_PASSWORD RABBIT_PASSWORD SERVICE_PASSWORD; do
    [[ -n ${!name:-} ]] || die $LINENO "$name is not set: it belongs into $TOP_DIR/local.conf"
done
mkdir -p "$LOGDIR" "$SERVICE_DIR" 2>/dev/null || sudo install -d -o "$STACK_USER" "$LOGDIR" "$SERVICE_DIR"
if has_plugins; then
    mkdir -p "$DATA_DIR"
    run_phase source
fi
MILESTONES=$LOGDIR/milestones
rm -rf "$MILESTONES"
mkdir "$MILESTONES"
STEPS_BEGIN=${EPOCHREALTIME/./}

services=()
known=" mysql rabbit "
for name in "${all_services[@]}"; do
    known+="$(lib_header "$name" services) "
    is_service_enabled "$name" || continue
    function_exists "install_$name" || die $LINENO "ENABLED_SERVICES has ${name}'s, but lib/$name has no functions"
    services+=("$name")
done
for name in ${ENABLED_SERVICES//,/ }; do
    [[ $known == *" $name "* ]] || is_plugin_service "$name" ||
        die $LINENO "ENABLED_SERVICES has $name, which no enabled plugin brings; debstack knows$known"
done

# write_configs: all of them, before anything starts. Nothing of an earlier cloud may run on.
write_configs() {
    local service
    for service in "${services[@]}"; do "stop_$service"; done
    keep_python_variables ""
    install_memcached
    install_openstackclient
    configure_openstackclient
    if is_service_enabled mysql; then install_database; configure_database; fi
    if is_service_enabled rabbit; then install_rpc_backend; configure_rpc_backend; fi
    for service in "${services[@]}"; do
        stack_install_service "$service"
        "configure_$service"
    done
    # What it says of plugins' files waits until they may be written.
    has_plugins || merge_config_group "$TOP_DIR/local.conf" post-config
    sudo systemctl daemon-reload
}

# all_accounts: what all enabled services need in keystone, by one process.
all_accounts() {
    local service
    for service in "${services[@]}"; do "${service}_statements"; done | accounts
}

# init_behind SERVICE: init_SERVICE, leaving the processors to keystone, whose accounts all others wait for in the end, and to
# neutron and nova, which have the most to do until they are up.
init_behind() {
    [[ $1 == neutron ]] || renice --priority 10 --pid "$BASHPID" >/dev/null
    "init_$1"
}

bring_up_rabbit() {
    if is_service_enabled rabbit; then step "rabbitmq: start" start_rpc_backend; fi
    milestone rabbit
}

bring_up_memcached() {
    step "memcached: start" start_memcached
    milestone memcached
}

# if_new COMMAND…: nothing of what a new cloud needs is done to one that is there.
if_new() { [[ -n $AGAIN ]] || "$@"; }

bring_up_keystone() {
    if_new step "keystone: schema and bootstrap" init_keystone
    await_milestone memcached
    step "keystone: start until it answers" start_keystone
    if_new step "all accounts and endpoints" all_accounts
    milestone keystone
}

# bring_up SERVICE: schema and start of a service that has nothing to wait for but the database and the queue; its accounts are
# needed by its first client, not by its start.
bring_up() {
    if_new step "$1: schema" init_behind "$1"
    await_milestone rabbit
    step "$1: start" "start_$1"
    milestone "$1"
}

# bring_up_nova: nova-compute tells placement what it has as soon as it starts. What lib/nova requires is enabled with it.
bring_up_nova() {
    if_new step "nova: schema" init_nova
    # nova-conductor ends when keystone answers and does not know its user yet, and so do it and the scheduler when the catalog
    # has placement and that does not answer.
    await_milestone rabbit keystone placement
    step "nova: start until it answers" start_nova_control
    await_milestone neutron
    step "nova: start nova-compute" start_nova_compute
    milestone nova
}

# plugins_begin: there are plugins that have to do what a new cloud needs of them.
plugins_begin() { has_plugins && [[ -z $AGAIN ]]; }

# plugin_phase MODE PHASE: a phase of DevStack's, in which plugins do what they have to do.
plugin_phase() {
    ! plugins_begin || step_here "plugins: $*" run_phase "$@"
}

# plugins_post_config: the plugins' configs, and what local.conf says of them. Here keystone is up, and nothing that plugins
# may want to configure has started.
plugins_post_config() {
    if is_service_enabled keystone; then async_run keystone bring_up_keystone; fi
    async_wait memcached rabbit keystone
    # From here on DevStack's stack.sh is the administrator, and plugins ask keystone by the command openstack (barbican).
    # shellcheck source=openrc
    source "$TOP_DIR/openrc" admin admin
    plugin_phase stack post-config
    step "local.conf: post-config" merge_config_group "$TOP_DIR/local.conf" post-config
}

if plugins_begin; then
    for name in ${DEVSTACK_PLUGINS//,/ }; do
        ! is_packaged "$name" || empty_project_conf "$name"
    done
fi
plugin_phase stack pre-install
if_new step "packages and config" write_configs
plugin_phase stack install
if plugins_begin; then step "local.conf: post-config, before plugins" merge_config_group "$TOP_DIR/local.conf" post-config; fi
start_openstackclient
async_run rabbit bring_up_rabbit
async_run memcached bring_up_memcached
if is_service_enabled mysql; then step "mariadb: start" start_database; fi
! plugins_begin || plugins_post_config
for name in "${services[@]}"; do
    if plugins_begin && [[ $name == keystone ]]; then continue; fi
    if function_exists "bring_up_$name"; then async_run "$name" "bring_up_$name"; else async_run "$name" bring_up "$name"; fi
done
async_wait memcached rabbit "${services[@]}"

# What a cloud holds when it is new.
for name in "${services[@]}"; do
    ! function_exists "provide_$name" || if_new async_run "$name" step "$name: what a new cloud has" "provide_$name"
done
async_wait "${services[@]}"
if has_plugins && [[ -n $AGAIN ]]; then step_here "plugins: start" start_plugins; fi
plugin_phase stack extra
plugin_phase stack test-config
if_new merge_config_group "$TOP_DIR/local.conf" test-config
# What people should know of this cloud; the run's report shows lines that begin so.
for name in "${services[@]}"; do
    ! function_exists "${name}_notes" || "${name}_notes" | sed 's/^/note: /'
done
total=$((${EPOCHREALTIME/./} - STEPS_BEGIN))
printf '%s is up after %.1f s: %s\n' "${DEBSTACK_RELEASE:-the cloud}" "$(_seconds "$total")" "${services[*]}"
