#!/bin/bash
# code.sh {UNIT HOW PATH PROJECT}...: which code the units' processes have loaded, as far as Python's own records tell. HOW is
#   venv       PATH is a virtual environment
#   program    PATH is a script, whose first line names its interpreter
#   system     the system's own Python
# Prints one line for each unit, fields separated by tabs:
#   code UNIT NAME VERSION PLACE COMMIT INSTALLED    INSTALLED in seconds since 1970; no git checkout, then COMMIT is -
#   unknown UNIT REASON
# and first "clock BOOT TICKS": the machine's boot in seconds since 1970, and the ticks of a second in /proc/PID/stat.

# find_distribution: prints name, version, place and time of the first distribution of these names that the interpreter would
# import. An editable one lies where it was installed from (PEP 610).
find_distribution='
import importlib.metadata, json, os, sys, urllib.parse
for name in sys.argv[1:]:
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        continue
    place = str(found.locate_file(""))
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        place = urllib.parse.unquote(urllib.parse.urlsplit(origin["url"]).path)
    records = getattr(found, "_path", None)
    installed = os.stat(records).st_ctime if records is not None else 0
    print(found.metadata["Name"], found.version, os.path.realpath(place), int(installed), sep="\t")
    sys.exit(0)
sys.exit(3)
'

# interpreter HOW PATH: in REPLY; fails with a reason in REPLY.
interpreter() {
    local first='' words
    case $1 in
        venv) REPLY=$2/bin/python3 ;;
        system) REPLY=/usr/bin/python3 ;;
        *)
            # A compiled program has no line that could be read.
            { IFS= read -r first <"$2"; } 2>/dev/null || :
            if [[ $first != '#!'*python* ]]; then
                REPLY="$2 is no script of Python"
                return 1
            fi
            read -ra words <<<"${first#'#!'}"
            REPLY=${words[0]}
            if [[ ${REPLY##*/} == env ]]; then
                REPLY=$(type -P "${words[1]:-python3}") || REPLY=/nowhere
            fi
            ;;
    esac
    if [[ ! -x $REPLY ]]; then
        REPLY="there is no $REPLY"
        return 1
    fi
}

main() {
    set -euo pipefail
    local unit how path project REPLY python answer name version place installed commit
    printf 'clock\t%s\t%s\n' "$(awk '$1 == "btime" { print $2 }' /proc/stat)" "$(getconf CLK_TCK)"
    while (($# >= 4)); do
        unit=$1 how=$2 path=$3 project=$4
        shift 4
        if ! interpreter "$how" "$path"; then
            printf 'unknown\t%s\t%s\n' "$unit" "$REPLY"
            continue
        fi
        python=$REPLY
        if ! answer=$("$python" -I -c "$find_distribution" "$project" "openstack-$project"); then
            printf 'unknown\t%s\t%s has no distribution %s\n' "$unit" "$python" "$project"
            continue
        fi
        IFS=$'\t' read -r name version place installed <<<"$answer"
        commit=$(git -c safe.directory='*' -C "$place" rev-parse --verify --quiet HEAD 2>/dev/null) || commit=-
        printf 'code\t%s\t%s\t%s\t%s\t%s\t%s\n' "$unit" "$name" "$version" "$place" "$commit" "$installed"
    done
}
main "$@" </dev/null
