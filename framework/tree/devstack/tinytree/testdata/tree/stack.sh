#!/bin/bash
# stack.sh: brings up what is enabled. TINY_BREAK is the name of a service at which it ends half-way, TINY_HANG of one at which it
# goes no further.
set -o errexit
TOP_DIR=$(cd "$(dirname "$0")" && pwd)
source "$TOP_DIR/inc/meta-config"
extract_localrc_section "$TOP_DIR/local.conf" "$TOP_DIR/localrc" "$TOP_DIR/.localrc.auto"
source "$TOP_DIR/stackrc"
mkdir -p "$DEST/logs" "$TOP_DIR/files"
exec > >(tee "$LOGFILE") 2>&1
echo "an image" >"$TOP_DIR/files/tiny.img"
for service in ${ENABLED_SERVICES//,/ }; do
    [[ -f $TOP_DIR/lib/$service ]] || continue
    source "$TOP_DIR/lib/$service"
    "install_$service"
    "start_$service"
    echo "started $service"
    while [[ $service == "${TINY_HANG:-}" ]]; do sleep 0.1; done
    [[ $service != "${TINY_BREAK:-}" ]] || die $LINENO "$service broke, and ADMIN_PASSWORD is $ADMIN_PASSWORD"
done
echo "stack.sh is done"
