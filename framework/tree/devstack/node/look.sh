#!/bin/bash
# look.sh RELEASE_DIR...: what DevStack's services run from, one line for each thing, fields separated by tabs:
#   unit NAME COMMAND     a systemd unit devstack@… that runs, or has failed
#   blind REASON          systemd cannot be asked
#   code DIRECTORY NAME COMMIT     a git checkout below a RELEASE_DIR
main() {
    set -euo pipefail
    local release checkout commit line names=()
    if line=$(systemctl list-units --plain --no-legend --full --type=service 'devstack@*' 2>&1); then
        mapfile -t names < <(awk 'NF { print $1 }' <<<"$line")
        if ((${#names[@]} > 0)); then
            commands "${names[@]}"
        fi
    else
        printf 'blind\t%s\n' "${line//[$'\t\n']/ }"
    fi
    for release in "$@"; do
        for checkout in "$release"/*/; do
            checkout=${checkout%/}
            [[ -e $checkout/.git ]] || continue
            # Whoever owns it, and even if it has no commit.
            commit=$(git -c safe.directory='*' -C "$checkout" rev-parse --verify --quiet HEAD) || continue
            printf 'code\t%s\t%s\t%s\n' "$release" "${checkout##*/}" "$commit"
        done
    done
}

# commands UNIT...: a line for each. systemd answers in paragraphs, in the order of the question.
commands() {
    local key value name='' command=''
    while IFS='=' read -r key value; do
        case $key in
            Id) name=${value%.service} ;;
            ExecStart)
                command=${value#*argv[]=}
                command=${command%% ; ignore_errors=*}
                ;;
            '')
                [[ -z $name ]] || printf 'unit\t%s\t%s\n' "$name" "${command//$'\t'/ }"
                name='' command=''
                ;;
        esac
    done < <(systemctl show --property=Id,ExecStart -- "$@" && echo)
}
main "$@" </dev/null
