// Package devstack is the room of clouds that DevStack makes: a checkout of it per side, fetched from GIT_BASE at the two
// branches, with local.conf composed from our settings; stack.sh on the base side; the target's tree made ready for
// upgrade.sh without stack.sh. On an external DevStack somebody else has done all of that, and it is only used.
//
// What a tree can tell is asked of its own functions, by the scripts in node/, which run where the cloud is.
package devstack
