#!/usr/bin/env bash
#
# What must survive an upgrade of horizon: that an ordinary user can log in with
# the web form and sees there what he has, the session of a user who is logged
# in, and the key that such sessions are signed with.
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

NAME=horizon_grenade
# Seconds that a session lasts, less a minute: horizon's and keystone's default
# is an hour.
SESSION=3540
# What a browser would keep.
COOKIES=$SAVE_DIR/.horizon.cookies

function create {
    local password seen
    check_login
    remove_all

    password=$(check_account "$NAME")
    resource_save horizon password "$password"
    find_dashboard
    fetch_static
    log_in_to_dashboard "$password"
    seen=$(sed -n 's/.*\tsessionid\t//p' "$COOKIES")
    [[ -n $seen ]] || check_fail "the dashboard starts a session" "cookies $(cut -f 6 "$COOKIES" | xargs)"
    resource_save horizon session "$seen"
    resource_save horizon session_until "$((EPOCHSECONDS + SESSION))"
    seen=$(pages)
    resource_save horizon pages "$seen"
    seen=$(key)
    resource_save horizon key "$seen"
    rm -f "$COOKIES"
}

function verify {
    local password expected seen until
    expected=$(check_saved horizon pages)
    password=$(check_saved horizon password)
    find_dashboard
    fetch_static

    until=$(check_saved horizon session_until)
    if ((EPOCHSECONDS < until)); then
        take_session
        seen=$(pages)
        check_same "what the dashboard shows in the session from create" "$expected" "$seen"
    else
        echo "The session from create has expired: that it outlives the upgrade is not compared any more."
    fi

    log_in_to_dashboard "$password"
    seen=$(pages)
    check_same "what the dashboard shows after a new login" "$expected" "$seen"
    rm -f "$COOKIES"
}

function verify_noapi {
    local expected seen
    expected=$(check_saved horizon key)
    seen=$(key)
    check_same "the key of horizon's sessions" "$expected" "$seen"
}

function destroy {
    check_login
    remove_all
}

# By name, so that it also removes what a create that failed has left.
function remove_all {
    check_account_gone "$NAME"
}

# At the root of the host, where debstack has it, or where DevStack's Apache has.
function find_dashboard {
    local path status
    for path in "" /dashboard; do
        DASHBOARD=${SERVICE_PROTOCOL:-http}://$SERVICE_HOST$path
        status=$(curl --silent --noproxy '*' --max-time 60 --output /dev/null --write-out '%{http_code}' "$DASHBOARD/auth/login/") || true
        [[ $status != 200 ]] || return 0
    done
    check_fail "a login page at $SERVICE_HOST, below / or /dashboard" "status $status"
}

# dashboard METHOD PATH STATUS [curl options...] - like check_api, with the cookies of a browser.
function dashboard {
    local method=$1 path=$2 status=$3
    shift 3
    CHECK_TOKEN='' check_api "$method" "$DASHBOARD$path" "$status" --cookie "$COOKIES" --cookie-jar "$COOKIES" "$@"
}

# log_in_to_dashboard PASSWORD - through the form, as a browser does it. A wrong
# password would answer 200 and the form again.
function log_in_to_dashboard {
    local -
    set +o xtrace
    local password=$1 token region
    : >"$COOKIES"
    token=$(dashboard GET /auth/login/ 200)
    region=$(field region <<<"$token")
    token=$(field csrfmiddlewaretoken <<<"$token")
    dashboard POST /auth/login/ 302 --data @<(printf 'csrfmiddlewaretoken=%s&region=%s&username=%s&password=%s' \
        "$token" "$region" "$NAME" "$password")
}

# field NAME - the value of a hidden field of the form on stdin.
function field {
    python3 -IS -c '
import re, sys
field = re.search("<input[^>]*name=\"%s\"[^>]*value=\"([^\"]*)\"" % sys.argv[1], sys.stdin.read())
print(field[1] if field else "")' "$1"
}

# take_session - goes on in the session that create has begun.
function take_session {
    local -
    set +o xtrace
    local session
    session=$(check_saved horizon session)
    printf '%s\tFALSE\t/\tFALSE\t0\tsessionid\t%s\n' "$SERVICE_HOST" "$session" >"$COOKIES"
}

# pages - who the user is, which projects he has, and which APIs.
function pages {
    local page
    page=$(dashboard GET /identity/ 200)
    rows identity <<<"$page"
    page=$(dashboard GET /project/api_access/ 200)
    rows api_access <<<"$page"
}

# rows PAGE - the user, his project, and the rows of the table on the page on stdin.
function rows {
    python3 -IS -c '
import html, re, sys
page = sys.stdin.read()
seen = re.findall("class=\"(user-name|context-project)\">\\s*([^<]*?)\\s*<", page)
seen += re.findall("<tr [^>]*data-display=\"([^\"]*)\"[^>]*data-object-id=\"([^\"]*)\"", page)
seen += [("address", url) for url in re.findall(">\\s*(https?://[^<\\s]+)\\s*<", page)]
print(sys.argv[1], "; ".join(html.unescape(" ".join(pair)) for pair in seen))' "$1"
}

# fetch_static - everything that the login page refers to can be had.
function fetch_static {
    local page file files
    : >"$COOKIES"
    page=$(dashboard GET /auth/login/ 200)
    files=$(grep -Eo '"/[^"]*\.(css|js)"' <<<"$page" | tr -d '"' | sort -u)
    [[ -n $files ]] || check_fail "the login page refers to style sheets and scripts" "none"
    for file in $files; do
        DASHBOARD=${DASHBOARD%/dashboard} dashboard GET "$file" 200 >/dev/null
    done
}

# The sum of the key, wherever this deployment keeps it.
function key {
    local file
    for file in /var/lib/openstack-dashboard/secret-key/.secret_key_store \
        "$BASE_DEVSTACK_DIR/../horizon/openstack_dashboard/local/.secret_key_store"; do
        if sudo test -f "$file"; then
            sudo sha256sum "$file"
            return 0
        fi
    done
    check_fail "a key store of horizon's" "none that is known"
}

# An unknown phase is no error. There is nothing that others need early.
case $1 in
    create) create ;;
    verify) verify ;;
    verify_noapi) verify_noapi ;;
    destroy) destroy ;;
esac
