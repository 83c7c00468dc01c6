#!/bin/bash
# unstack.sh: stops what runs.
set -o errexit
TOP_DIR=$(cd "$(dirname "$0")" && pwd)
source "$TOP_DIR/stackrc"
for service in ${ENABLED_SERVICES//,/ }; do
    [[ -f $TOP_DIR/lib/$service ]] || continue
    source "$TOP_DIR/lib/$service"
    "stop_$service"
done
