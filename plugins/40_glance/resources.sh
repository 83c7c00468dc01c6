#!/usr/bin/env bash
#
# What must survive an upgrade of glance: an image of random bytes that an
# ordinary user has uploaded, its metadata, and the file that holds the bytes.
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

NAME=glance_grenade
GLANCE_API_CONF=${GLANCE_CONF_DIR:-/etc/glance}/glance-api.conf

function create {
    local password image bytes seen
    check_login
    remove_all

    password=$(check_account "$NAME")
    resource_save glance password "$password"
    log_in_as_ourselves

    bytes=$(mktemp -p "$SAVE_DIR" .glance.XXXXXX)
    head -c 1048576 /dev/urandom >"$bytes"
    seen=$(sha256sum <"$bytes" | cut -d " " -f 1)
    resource_save glance sha256 "$seen"

    image=$(check_api POST "$ENDPOINT/v2/images" 201 --json-body "{\"name\": \"$NAME\", \"disk_format\": \"raw\",
        \"container_format\": \"bare\", \"visibility\": \"private\", \"tags\": [\"grenade\"], \"grenade_note\": \"Grüße\"}" |
        check_json "d['id']")
    resource_save glance image_id "$image"
    check_api PUT "$ENDPOINT/v2/images/$image/file" 204 --header "Content-Type: application/octet-stream" --upload-file "$bytes"
    rm -f "$bytes"

    seen=$(state)
    resource_save glance state "$seen"
    # Empty where images are not kept in files.
    seen=$(stored_file)
    resource_save glance file "$seen"
}

function verify {
    local image expected seen
    log_in_as_ourselves
    expected=$(check_saved glance state)
    seen=$(state)
    check_same "what glance says of the image" "$expected" "$seen"

    image=$(check_saved glance image_id)
    expected=$(check_saved glance sha256)
    seen=$(check_api_sum GET "$ENDPOINT/v2/images/$image/file" 200)
    check_same "the sha256 of the downloaded image" "$expected" "$seen"
}

function verify_noapi {
    local file expected seen
    file=$(resource_get glance file)
    if [[ -z $file ]]; then
        echo "This glance does not keep its images in files: without its API nothing can be compared."
        return 0
    fi
    expected=$(check_saved glance sha256)
    seen=$(sudo cat "$file" | sha256sum | cut -d " " -f 1)
    check_same "the sha256 of $file" "$expected" "$seen"
}

function destroy {
    check_login
    remove_all
}

# By name, so that it also removes what a create that failed has left.
function remove_all {
    local image images
    ENDPOINT=$(check_endpoint image)
    images=$(image_ids)
    for image in $images; do
        check_api DELETE "$ENDPOINT/v2/images/$image" "204|404"
    done
    images=$(image_ids)
    check_same "the list of images called $NAME" "" "$images"
    check_account_gone "$NAME"
}

function image_ids {
    check_api GET "$ENDPOINT/v2/images?name=$NAME&visibility=all" 200 | check_json "' '.join(i['id'] for i in d['images'])"
}

function log_in_as_ourselves {
    local password
    password=$(check_saved glance password)
    check_as_user "$NAME" "$password"
    ENDPOINT=$(check_endpoint image)
}

# What glance says of the image that is not its own affair.
function state {
    local image
    image=$(check_saved glance image_id)
    check_api GET "$ENDPOINT/v2/images/$image" 200 |
        check_json "{k: d[k] for k in ('id', 'name', 'status', 'size', 'owner', 'visibility', 'disk_format', 'container_format',
            'min_disk', 'min_ram', 'protected', 'tags', 'checksum', 'os_hash_algo', 'os_hash_value', 'created_at', 'updated_at', 'grenade_note')}"
}

# Where the file store keeps the image: any store of the configuration may have it.
function stored_file {
    local image directory directories
    image=$(check_saved glance image_id)
    directories=$(sed -n 's/^filesystem_store_datadir[ \t]*=[ \t]*//p' "$GLANCE_API_CONF")
    for directory in $directories "${GLANCE_IMAGE_DIR:-/var/lib/glance/images}"; do
        if sudo test -f "$directory/$image"; then
            echo "$directory/$image"
            return 0
        fi
    done
}

# An unknown phase is no error. There is nothing that others need early.
case $1 in
    create) create ;;
    verify) verify ;;
    verify_noapi) verify_noapi ;;
    destroy) destroy ;;
esac
