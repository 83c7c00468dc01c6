#!/usr/bin/env bash
#
# What must survive an upgrade of swift: an object of random bytes that an
# ordinary user has stored, one that consists of segments, their metadata, who
# may read them, and the file and the database in which the storage servers keep
# them. What is on disk is found and read with swift's own tools for operators.
#
# shellcheck disable=SC1091 # the trees are there when it runs

set -o errexit

source "$GRENADE_DIR/grenaderc"
source "$GRENADE_DIR/functions"
source "$TOP_DIR/openrc" admin admin
source "$GRENADE_DIR/inc/check"

# Not before here: the trees' files are written for errexit alone.
set -o nounset -o pipefail
shopt -s inherit_errexit

NAME=swift_grenade
READER=swift_grenade_reader
SWIFT_CONF_DIR=${SWIFT_CONF_DIR:-/etc/swift}
# Containers. In one the reader is let in.
OPEN=open
CLOSED=closed
# An object as it stands on disk and in a URL.
OBJECT=Grüße/1.bin
OBJECT_URL=Gr%C3%BC%C3%9Fe/1.bin
LARGE=large
# What verify makes and removes.
AFTER=after
# How long, in seconds, a container may take to hear of an object that came or went.
LISTED_WITHIN=60

function create {
    local bytes reader sum part manifest=""
    check_login
    remove_all
    make_account "$NAME" password
    make_account "$READER" reader_password
    log_in_as "$READER" reader_password
    reader=$(check_json "d['token']['project']['id'] + ':' + d['token']['user']['id']" <<<"$CHECK_CATALOG")
    log_in_as "$NAME" password
    resource_save swift account "${ENDPOINT##*/}"

    check_api PUT "$ENDPOINT/$OPEN" 201 --header "X-Container-Meta-Note: Grüße"
    check_api PUT "$ENDPOINT/$CLOSED" 201
    bytes=$(mktemp -p "$SAVE_DIR" .swift.XXXXXX)
    for part in 0 1; do
        head -c 600000 /dev/urandom >"$bytes.$part"
        sum=$(md5sum <"$bytes.$part" | cut -d " " -f 1)
        check_api PUT "$ENDPOINT/$CLOSED/part$part" 201 --upload-file "$bytes.$part" --header "Content-Type: application/octet-stream"
        manifest+=", {\"path\": \"/$CLOSED/part$part\", \"etag\": \"$sum\"}"
    done
    cat "$bytes.0" "$bytes.1" >"$bytes"
    sum=$(sha256sum <"$bytes" | cut -d " " -f 1)
    resource_save swift sha256 "$sum"
    # The same bytes, once in a file and once in two segments.
    check_api PUT "$ENDPOINT/$OPEN/$OBJECT_URL" 201 --upload-file "$bytes" \
        --header "Content-Type: application/x-grenade" --header "X-Object-Meta-Note: Grüße, 升级"
    rm -f "$bytes" "$bytes.0" "$bytes.1"
    check_api PUT "$ENDPOINT/$CLOSED/$LARGE?multipart-manifest=put" 201 --json-body "[${manifest#, }]"

    reader_is_answered 403 "$OPEN/$OBJECT_URL"
    check_api POST "$ENDPOINT/$OPEN" 204 --header "X-Container-Read: $reader"
    reader_is_answered 200 "$OPEN/$OBJECT_URL"

    wait_until_listed "$OPEN" 1
    wait_until_listed "$CLOSED" 3
    for_all_that_swift_says save
    for_all_on_disk save
}

function verify {
    log_in_as "$NAME" password
    remove_work
    for_all_that_swift_says compare
    check_download "the object" "$OPEN/$OBJECT_URL"
    check_download "the object of two segments" "$CLOSED/$LARGE"
    reader_is_answered 200 "$OPEN/$OBJECT_URL"
    reader_is_answered 403 "$CLOSED/$LARGE"
    [[ $1 != post-upgrade ]] || work
}

function verify_noapi {
    local file expected seen
    file=$(resource_get swift file)
    if [[ -z $file ]]; then
        echo "No storage server of this node has the object: without the API nothing can be compared."
        return 0
    fi
    expected=$(check_saved swift sha256)
    seen=$(sudo cat "$file" | sha256sum | cut -d " " -f 1)
    check_same "the sha256 of $file" "$expected" "$seen"
    for_all_on_disk compare
}

function destroy {
    check_login
    remove_all
}

# for_all_that_swift_says save|compare
function for_all_that_swift_says {
    "$1" "the account" account_state headers ""
    "$1" "container $OPEN" open_state headers "$OPEN"
    "$1" "container $CLOSED" closed_state headers "$CLOSED"
    "$1" "the list of container $OPEN" open_list listing "$OPEN"
    "$1" "the list of container $CLOSED" closed_list listing "$CLOSED"
    "$1" "the object" object_state headers "$OPEN/$OBJECT_URL"
    "$1" "the object of two segments" large_state headers "$CLOSED/$LARGE"
    "$1" "its manifest" manifest_state manifest
}

# for_all_on_disk save|compare
function for_all_on_disk {
    local file
    "$1" "the object's file" file data_file
    # On a cluster of several nodes it may be elsewhere.
    file=$(resource_get swift file)
    [[ -n $file ]] || return 0
    "$1" "what swift-object-info tells of the object's file" file_state object_info
    "$1" "what the database of container $OPEN holds" database database_state
}

# save WHAT KEY FUNCTION [ARGUMENT] - what the function prints now.
function save {
    local seen
    seen=$("${@:3}")
    resource_save swift "$2" "$seen"
}

# compare WHAT KEY FUNCTION [ARGUMENT] - what the function prints now with what
# was saved.
function compare {
    local expected seen
    expected=$(check_saved swift "$2")
    seen=$("${@:3}")
    check_lines "$1" "$expected" "$seen"
}

# headers PATH - what swift says of an account, container or object that is not
# the answer's own affair (when it was given, its number).
function headers {
    check_api HEAD "$ENDPOINT${1:+/$1}" "200|204" --head | tr -d '\r' | sort |
        grep -iE '^(content-(type|length)|etag|last-modified|x-timestamp|x-static-large-object|x-(account|container|object)-meta-|x-container-(read|write|object-count|bytes-used)|x-account-container-count):' |
        tr '[:upper:]' '[:lower:]'
}

function listing {
    check_api GET "$ENDPOINT/$1?format=json" 200 |
        check_json "[[o[k] for k in ('name', 'bytes', 'hash', 'content_type', 'last_modified')] for o in d]"
}

function manifest {
    check_api GET "$ENDPOINT/$CLOSED/$LARGE?multipart-manifest=get" 200 |
        check_json "[[s[k] for k in ('name', 'bytes', 'hash', 'content_type', 'last_modified')] for s in d]"
}

# wait_until_listed CONTAINER COUNT - a container may hear of a new object later.
function wait_until_listed {
    check_until "$LISTED_WITHIN" "container $1 lists $2 objects" unlike_listed "$1" "$2"
}

function unlike_listed {
    local seen
    seen=$(check_api GET "$ENDPOINT/$1?format=json" 200 | check_json "len(d)")
    [[ $seen == "$2" ]] || echo "$seen"
}

function check_download {
    local expected seen
    expected=$(check_saved swift sha256)
    seen=$(check_api_sum GET "$ENDPOINT/$2" 200)
    check_same "the sha256 of $1, downloaded" "$expected" "$seen"
}

# reader_is_answered STATUS PATH - when he reads what belongs to the first user.
function reader_is_answered {
    local owners=$ENDPOINT
    (
        log_in_as "$READER" reader_password
        check_api GET "$owners/$2" "$1" >/dev/null
    )
}

# work - what the new code has to do. All of it is undone.
function work {
    local bytes sum seen container
    bytes=$(mktemp -p "$SAVE_DIR" .swift.XXXXXX)
    check_api PUT "$ENDPOINT/$AFTER" 201
    for container in "$AFTER" "$OPEN"; do
        head -c 65537 /dev/urandom >"$bytes"
        sum=$(sha256sum <"$bytes" | cut -d " " -f 1)
        check_api PUT "$ENDPOINT/$container/$AFTER" 201 --upload-file "$bytes" --header "Content-Type: text/plain"
        seen=$(check_api_sum GET "$ENDPOINT/$container/$AFTER" 200)
        check_same "the sha256 of a new object in container $container" "$sum" "$seen"
        check_api DELETE "$ENDPOINT/$container/$AFTER" 204
        check_api GET "$ENDPOINT/$container/$AFTER" 404 >/dev/null
    done
    rm -f "$bytes"
    check_api COPY "$ENDPOINT/$OPEN/$OBJECT_URL" 201 --header "Destination: $AFTER/copy"
    check_download "a copy of the object" "$AFTER/copy"
    remove_work
    wait_until_listed "$OPEN" 1
}

# remove_work - what work has made, or one that was killed.
function remove_work {
    check_api DELETE "$ENDPOINT/$OPEN/$AFTER" "204|404" >/dev/null
    remove_container "$AFTER"
}

# stored_in account|container|object NAME... - the directories where this node's
# storage servers keep a thing of the first user's, as the ring says. Prints
# nothing when it is on other nodes.
function stored_in {
    local kind=$1 account devices part
    shift
    account=$(check_saved swift account)
    [[ -f $SWIFT_CONF_DIR/$kind.ring.gz ]] || return 0
    # "ssh 127.0.0.1 "ls -lah ${DEVICE:-/srv/node*}/sdb1/objects/15/abc/0123…abc"
    part=$(swift-get-nodes -a "$SWIFT_CONF_DIR/$kind.ring.gz" "$account" "$@" | sed -n "s|^ssh .*}/\([^ \"]*/${kind}s/[^ \"]*\)\".*|\1|p" | sort -u)
    devices=$(sudo sed -n 's/^devices[ \t]*=[ \t]*//p' "$SWIFT_CONF_DIR/$kind-server.conf" "$SWIFT_CONF_DIR/$kind-server"/*.conf 2>/dev/null | sort -u) || true # one of the two forms is there
    sudo bash -c 'for devices in $1; do for part in $2; do if [[ -d $devices/$part ]]; then echo "$devices/$part"; fi; done; done' \
        bash "${devices:-/srv/node}" "$part"
}

function data_file {
    local where
    where=$(stored_in object "$OPEN" "$OBJECT")
    [[ -n $where ]] || return 0
    # shellcheck disable=SC2086 # one word per directory
    sudo find $where -name '*.data'
}

# Ends with whether the file has the hash that its metadata name.
function object_info {
    local file
    file=$(check_saved swift file)
    sudo swift-object-info "$file"
}

# The object's row, and whether the database is sound. Read only: swift's tool
# would lock the directory as root, and then shut the server out of it.
function database_state {
    local where
    where=$(stored_in container "$OPEN")
    # shellcheck disable=SC2086 # one word per directory
    sudo python3 - "$OBJECT" $where <<'END'
import glob, sqlite3, sys
for where in sys.argv[2:]:
    for path in sorted(glob.glob(where + "/*.db")):
        database = sqlite3.connect("file:" + path + "?mode=ro", uri=True)
        print(path, *database.execute("PRAGMA integrity_check").fetchone())
        print(*database.execute("SELECT name, created_at, size, content_type, etag FROM object WHERE name = ? AND deleted = 0", sys.argv[1:2]))
        print(*database.execute("SELECT account, container, created_at, put_timestamp, delete_timestamp, metadata FROM container_info"))
END
}

# make_account NAME KEY - a project with a user, whose password is saved.
function make_account {
    local password
    password=$(check_account "$1")
    resource_save swift "$2" "$password"
}

# log_in_as NAME KEY - from here on this user, in the project of the same name.
function log_in_as {
    local password
    password=$(check_saved swift "$2")
    check_as_user "$1" "$password"
    ENDPOINT=$(check_endpoint object-store)
}

# By name, so that it also removes what a create that failed has left.
function remove_all {
    local name
    for name in "$NAME" "$READER"; do
        empty_account "$name"
        check_account_gone "$name"
    done
    nothing_left_on_disk
}

# empty_account PROJECT - removes all that the project has in swift, and the
# account where swift lets the administrator do that. He gives himself a role in
# the project for it, which goes with the project.
function empty_account {
    local project user role roles seen containers container
    project=$(check_api GET "$CHECK_IDENTITY/projects?name=$1&domain_id=default" 200 | check_json "''.join(p['id'] for p in d['projects'])")
    [[ -n $project ]] || return 0
    user=$(check_json "d['token']['user']['id']" <<<"$CHECK_CATALOG")
    roles=$(check_api GET "$CHECK_IDENTITY/roles" 200 | check_json "' '.join(r['id'] for r in d['roles'] if r['name'] in ('member', 'ResellerAdmin'))")
    for role in $roles; do
        check_api PUT "$CHECK_IDENTITY/projects/$project/users/$user/roles/$role" 204
    done
    OS_PROJECT_NAME=$1 check_login
    ENDPOINT=$(check_endpoint object-store)
    seen=$(check_api GET "$ENDPOINT?format=json" "200|404")
    # A deleted account is not found.
    if [[ $seen == '['* ]]; then
        containers=$(check_json "' '.join(quote(c['name'], safe='') for c in d)" <<<"$seen")
        for container in $containers; do
            remove_container "$container"
        done
    fi
    check_api DELETE "$ENDPOINT" "204|401|403|404|405" >/dev/null
    check_login
}

# remove_container CONTAINER - with all that is in it. None of that name is no
# error. Nor may it go while it knows of an object, of whose removal it may hear
# later.
function remove_container {
    check_until "$LISTED_WITHIN" "container $1 is gone" remove_from_container "$1"
}

# remove_from_container CONTAINER - prints what the container lists after it, if it
# is still there.
function remove_from_container {
    local seen objects object
    seen=$(check_api GET "$ENDPOINT/$1?format=json" "200|404")
    [[ $seen == '['* ]] || return 0
    objects=$(check_json "' '.join(quote(o['name'], safe='') for o in d)" <<<"$seen")
    for object in $objects; do
        check_api DELETE "$ENDPOINT/$1/$object" "204|404" >/dev/null
    done
    check_api DELETE "$ENDPOINT/$1" "204|404|409" >/dev/null
    seen=$(check_api GET "$ENDPOINT/$1?format=json" "200|404")
    [[ $seen != '['* ]] || printf '%s\n' "$seen"
}

# What destroy leaves of an object is a tombstone, which swift removes itself
# after its reclaim_age.
function nothing_left_on_disk {
    local file
    file=$(resource_get swift file)
    if [[ -n $file ]] && sudo test -e "$file"; then
        check_fail "the object's file is gone" "$file"
    fi
}

# An unknown phase is no error. There is nothing that others need early.
case $1 in
    create) create ;;
    verify) verify "$2" ;;
    verify_noapi) verify_noapi ;;
    destroy) destroy ;;
esac
