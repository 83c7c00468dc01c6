#!/bin/bash
# clean.sh: unstack.sh, and after it what the plugins' phase "clean" does. Of this tree's own services nothing is removed: a node is
# thrown away whole, and the next stack.sh begins anew.
set -o errexit -o nounset -o pipefail

TOP_DIR=$(cd "$(dirname "$0")" && pwd)
"$TOP_DIR/unstack.sh"
# shellcheck source=stackrc
source "$TOP_DIR/stackrc"
for lib in stack database rpc_backend memcached tls apache keystone glance placement swift neutron nova cinder horizon; do
    # shellcheck source=/dev/null
    source "$TOP_DIR/lib/$lib"
done
has_plugins || exit 0
fetch_plugins
run_phase override_defaults
run_phase source
run_phase clean
