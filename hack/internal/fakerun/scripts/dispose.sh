#!/bin/bash
# Kills every process of a run in this STACK_ROOT, waits until it is gone, and
# removes the node's directory.
while :; do
    left=0
    # Processes come and go while grep looks, which it minds and we do not.
    for environ in $(grep -lszFx "STACK_ROOT=$STACK_ROOT" /proc/[0-9]*/environ | xargs -r grep -lsz '^GRENADE_RUN='); do
        pid=${environ#/proc/}
        kill -KILL "${pid%/environ}" 2>/dev/null
        left=1
    done
    ((left)) || break
    sleep 0.01
done
rm -rf "$STACK_ROOT/node"
