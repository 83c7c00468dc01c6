# shellcheck shell=bash
# A child in a process group of its own, for scripts that must pass signals on.
# Sourced; keeps the pid of the child, which is its group's number, in
# $group_leader and its exit status in $group_status.

# group_run COMMAND ARG...: runs the command without standard input in a group of
# its own and returns when it has ended, with its status in group_status. INT and
# TERM that reach this shell go to the whole group, each exactly once: a terminal
# signals only the group in the foreground, which is not the child's. A closed
# terminal (HUP) is an orderly end: the group gets TERM.
group_run() {
    # Job control is what gives a background child its own group, and keeps
    # SIGINT from being ignored in it.
    set -m
    "$@" </dev/null &
    group_leader=$!
    set +m
    trap 'group_signal INT' INT
    trap 'group_signal TERM' TERM HUP
    # wait returns early when a trapped signal comes in, so only a leader that is
    # gone has given its status; when it went just then, a last wait still gets it
    # (127: the status was had before).
    local last
    while :; do
        group_status=0
        # Its standard error is only bash's remark on how the job died.
        wait "$group_leader" 2>/dev/null || group_status=$?
        kill -0 "$group_leader" 2>/dev/null || break
    done
    last=0
    wait "$group_leader" 2>/dev/null || last=$?
    ((last == 127)) || group_status=$last
    # For the caller.
    : "$group_status"
}

# group_done: gives INT, TERM and HUP back their meaning.
group_done() {
    trap - INT TERM HUP
}

# group_signal SIGNAL: signals every process of the group.
group_signal() {
    # Fails only when nobody is left to be told, which is no fault.
    kill -s "$1" -- "-$group_leader" 2>/dev/null || :
}

# group_lives: tells whether a process of the group still runs. Zombies do not
# count: where nobody reaps them, they stay for ever. Reads /proc, because ps is
# not installed everywhere.
group_lives() {
    local stat line state group
    for stat in /proc/[0-9]*/stat; do
        # A process may end while we look.
        { IFS= read -r line <"$stat"; } 2>/dev/null || continue
        # proc(5): pid (comm) state ppid pgrp …; comm may hold anything.
        read -r state _ group _ <<<"${line##*) }"
        if [[ $group == "$group_leader" && $state != Z ]]; then
            return 0
        fi
    done
    return 1
}
