#!/usr/bin/env bash
#
# What must survive an upgrade of keystone: a domain with a project and a user
# who has a role there, and the token that this user got before it. The token
# depends on key files beside the database, so those are looked at as well.
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

NAME=keystone_grenade
KEYSTONE_CONF=${KEYSTONE_CONF_DIR:-/etc/keystone}/keystone.conf

function create {
    local domain project user role
    destroy

    domain=$(check_api POST "$CHECK_IDENTITY/domains" 201 \
        --json-body "{\"domain\": {\"name\": \"$NAME\"}}" | check_json "d['domain']['id']")
    project=$(check_api POST "$CHECK_IDENTITY/projects" 201 \
        --json-body "{\"project\": {\"name\": \"$NAME\", \"domain_id\": \"$domain\"}}" | check_json "d['project']['id']")
    role=$(check_api POST "$CHECK_IDENTITY/roles" 201 \
        --json-body "{\"role\": {\"name\": \"$NAME\"}}" | check_json "d['role']['id']")
    OS_PASSWORD=$(check_random)
    user=$(check_api POST "$CHECK_IDENTITY/users" 201 \
        --json-body "{\"user\": {\"name\": \"$NAME\", \"domain_id\": \"$domain\", \"description\": \"Grüße\", \"password\": \"$OS_PASSWORD\"}}" |
        check_json "d['user']['id']")
    check_api PUT "$CHECK_IDENTITY/projects/$project/users/$user/roles/$role" 204

    resource_save keystone domain_id "$domain"
    resource_save keystone project_id "$project"
    resource_save keystone user_id "$user"
    resource_save keystone password "$OS_PASSWORD"

    log_in_as_ourselves
    resource_save keystone token "$CHECK_TOKEN"
    save token_says what_token_says
    save user_is what_user_is
    save keys sums_of_keys
}

# All as the user, who may see himself and his own token.
function verify {
    CHECK_TOKEN=$(check_saved keystone token)
    compare "what keystone says of the token from create" token_says what_token_says
    compare "the user as the token from create sees him" user_is what_user_is

    log_in_as_ourselves
    compare "the user after a new login" user_is what_user_is
}

function verify_noapi {
    local user project domain rows
    user=$(check_saved keystone user_id)
    project=$(check_saved keystone project_id)
    domain=$(check_saved keystone domain_id)
    compare "what the key repository holds" keys sums_of_keys
    rows=$(check_sql "$KEYSTONE_CONF" database "
        SELECT CONCAT_WS(' ',
            (SELECT COUNT(*) FROM user WHERE id = '$user' AND domain_id = '$domain'),
            (SELECT COUNT(*) FROM local_user JOIN password ON password.local_user_id = local_user.id
                WHERE user_id = '$user' AND name = '$NAME'),
            (SELECT COUNT(*) FROM project WHERE id = '$project' AND domain_id = '$domain'),
            (SELECT COUNT(*) FROM project WHERE id = '$domain' AND is_domain),
            (SELECT COUNT(*) FROM assignment WHERE actor_id = '$user' AND target_id = '$project'))")
    check_same "the number of rows of the user, his password, project, domain and role" "1 1 1 1 1" "$rows"
}

# By name, so that it also removes what a create that failed has left.
function destroy {
    local domain
    check_login
    domain=$(check_api GET "$CHECK_IDENTITY/domains?name=$NAME" 200 | check_json "''.join(o['id'] for o in d['domains'])")
    if [[ -n $domain ]]; then
        check_delete_named users "$NAME" "domain_id=$domain"
        check_delete_named projects "$NAME" "domain_id=$domain"
        # Only a disabled domain can be deleted.
        check_api PATCH "$CHECK_IDENTITY/domains/$domain" 200 --json-body '{"domain": {"enabled": false}}' >/dev/null
        check_delete_named domains "$NAME"
    fi
    check_delete_named roles "$NAME"
}

# save KEY FUNCTION - what the function prints now.
function save {
    local seen
    seen=$("$2")
    resource_save keystone "$1" "$seen"
}

# compare WHAT KEY FUNCTION - what the function prints now with what was saved.
function compare {
    local expected seen
    expected=$(check_saved keystone "$2")
    seen=$("$3")
    check_same "$1" "$expected" "$seen"
}

function log_in_as_ourselves {
    local domain
    domain=$(check_saved keystone domain_id)
    OS_PASSWORD=$(check_saved keystone password)
    OS_USERNAME=$NAME OS_PROJECT_NAME=$NAME OS_USER_DOMAIN_ID=$domain OS_PROJECT_DOMAIN_ID=$domain check_login
}

function what_token_says {
    check_api GET "$CHECK_IDENTITY/auth/tokens?nocatalog" 200 --header @<(echo "X-Subject-Token: $CHECK_TOKEN") |
        check_json "{k: d['token'][k] for k in ('user', 'project', 'roles', 'methods', 'issued_at', 'expires_at', 'audit_ids')}"
}

function what_user_is {
    local user
    user=$(check_saved keystone user_id)
    check_api GET "$CHECK_IDENTITY/users/$user" 200 |
        check_json "{k: d['user'][k] for k in ('id', 'name', 'domain_id', 'enabled', 'description')}"
}

# Names and contents of the key files. A deployment without fernet has none.
function sums_of_keys {
    local keys
    keys=$(iniget "$KEYSTONE_CONF" fernet_tokens key_repository)
    keys=${keys:-/etc/keystone/fernet-keys}
    sudo find "$keys" -maxdepth 1 -type f -exec sha256sum {} + | sort
}

# An unknown phase is no error. There is nothing that others need early.
case $1 in
    create) create ;;
    verify) verify ;;
    verify_noapi) verify_noapi ;;
    destroy) destroy ;;
esac
