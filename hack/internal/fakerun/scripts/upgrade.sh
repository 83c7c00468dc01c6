#!/usr/bin/env bash
# Stands for hack/upgrade: starts the CLI, waits for the suite as well, passes TERM on.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
export FAKE_STATE=$STACK_ROOT.state
mkdir -p "$FAKE_STATE"
rm -f "$FAKE_STATE/exit" "$FAKE_STATE/suite.pid"
suite_lives() { [[ -s $FAKE_STATE/suite.pid ]] && kill -0 "$(<"$FAKE_STATE/suite.pid")" 2>/dev/null; }
trap 'suite_lives && kill -TERM "$(<"$FAKE_STATE/suite.pid")"' TERM
"$top/bin/ginkgo" &
cli=$!
while kill -0 "$cli" 2>/dev/null; do wait "$cli" || :; done
while suite_lives; do sleep 0.02; done
if [[ -s $FAKE_STATE/exit ]]; then
    exit "$(<"$FAKE_STATE/exit")"
fi
exit 3
