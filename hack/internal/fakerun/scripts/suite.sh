#!/bin/bash
# Stands for the compiled suite: disposes of what an earlier run left, writes a
# journal, runs the plugins' scripts, judges, writes results, cleans up.
set -euo pipefail
bin=$(cd "$(dirname "$0")" && pwd)
echo "$$" >"$FAKE_STATE/suite.pid"
starter=$PPID
journal=$SAVE_DIR/run.jsonl
results=$STACK_ROOT.results/$$
node=$STACK_ROOT/node
plugins=$SAVE_DIR/grenade/plugins
export GRENADE_RUN=fake-$$

dispose() {
    if [[ ${FAKE_LEAVES-} == 1 ]]; then
        rm -rf "$node"
    else
        env -u GRENADE_RUN "$bin/dispose"
    fi
}
finish() {
    dispose
    echo "$1" >"$FAKE_STATE/exit"
    exit "$1"
}
event() { printf '{"time":"2025-01-01T00:00:00Z","run":"%s",%s}\n' "$GRENADE_RUN" "$1" >>"$journal"; }
trap 'finish 130' TERM

dispose
mkdir -p "$SAVE_DIR" "$results" "$node"
: >"$journal"
for project in 10_keystone 15_placement 40_glance; do
    mkdir -p "$plugins/$project"
    for script in upgrade shutdown resources; do
        printf '#!/usr/bin/env bash\necho %s of %s: really\n' "$script" "$project" >"$plugins/$project/$script.sh"
        chmod 755 "$plugins/$project/$script.sh"
    done
done
event "\"event\":\"run\",\"state\":\"started\",\"pid\":$$,\"results\":\"$results\""
event '"event":"setup","state":"started"'
setsid "$bin/systemd-nspawn" >/dev/null 2>&1 </dev/null &
manager=$!
# The manager must have its child before anybody looks for it.
until [[ -n ${child-} ]]; do
    sleep 0.01
    child=$(tr -d ' ' <"/proc/$manager/task/$manager/children")
done
sleep 0.1
event '"event":"setup","state":"finished"'

rows='' cases='' code=0
for phase in create shutdown verify_noapi-pre-upgrade upgrade verify-post-upgrade verify_target destroy; do
    for project in 10_keystone 15_placement 40_glance; do
        name=${project#*_}
        event "\"event\":\"row\",\"phase\":\"$phase\",\"project\":\"$name\",\"state\":\"started\""
        case $phase in upgrade | shutdown) script=$phase ;; *) script=resources ;; esac
        outcome=passed
        sleep 0.02
        output=$("$plugins/$project/$script.sh" "${phase%%-*}" "${phase#*-}")
        if [[ $output != *really* && ${FAKE_BLIND-} != 1 ]]; then outcome=failed code=1; fi
        echo "$output" >"$results/$phase-$name.log"
        event "\"event\":\"row\",\"phase\":\"$phase\",\"project\":\"$name\",\"state\":\"$outcome\""
        rows+="${rows:+,}{\"phase\":\"$phase\",\"project\":\"$name\",\"outcome\":\"$outcome\",\"log\":\"$phase-$name.log\"}"
        failure=''
        if [[ $outcome == failed ]]; then failure='<failure message="no"/>'; fi
        cases+="<testcase classname=\"grenade.$phase\" name=\"$name\">$failure<system-out>$output</system-out></testcase>"
        # A killed starter forwards nothing.
        if [[ ! -d /proc/$starter ]]; then finish 130; fi
    done
done
echo "{\"rows\":[$rows]}" >"$results/report.json"
echo "<testsuites><testsuite>$cases</testsuite></testsuites>" >"$results/junit.xml"
finish "$code"
