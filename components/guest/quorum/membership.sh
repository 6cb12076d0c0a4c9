#!/bin/bash
# shellcheck disable=SC2154  # lower-case variables come from the role's env file
# Changes who votes in a quorum that runs, or restarts a vote. One server at a time: apply.sh calls this under a lock that etcd itself keeps.
#
#   restart    this server's etcd is restarted, once every vote answers
#   join       a server without data becomes a member, and its etcd starts as one
#   forget     members that the stack file no longer names go
#   complete   succeeds when every vote of the stack file runs
#   strangers  names the members that the stack file doesn't
#
# How to reach etcd comes from the environment (etcdctl(1)).
set -euo pipefail
# shellcheck source=/dev/null
. "${QUORUM:-/etc/perenne/quorum.env}"
membership=${MEMBERSHIP:-/etc/default/etcd-membership}
limit=$((SECONDS + 60))

fail() {
    echo "etcd: $*" >&2
    exit 1
}
# until_limit WHAT COMMAND…: run the command until it succeeds.
until_limit() {
    local what=$1
    shift
    until "$@"; do
        ((SECONDS < limit)) || fail "$what: not within 60 s"
        sleep 0.2
    done
}
# A vote that was added and never ran has no name yet: it is known by its address.
id_of() { etcdctl member list | awk -F ', ' -v name="$1" -v url="${2-}" '$3 == name || $4 == url { print $1; exit }'; }
strangers() { etcdctl member list | awk -F ', ' -v votes=" $votes " '$3 && !index(votes, " " $3 " ") { print $3 }'; }
complete() {
    local members vote
    members=$(etcdctl member list)
    for vote in $votes; do [[ $members == *", started, $vote, "* ]] || return 1; done
}
# etcd refuses until all members have been connected for 5 s (server option strict-reconfig-check).
add() { added=$(etcdctl member add "$name" --peer-urls="$peer_url" 2>/dev/null); }
# One that goes may have been the leader: then the others elect one before they take the next change.
forget() {
    local left stranger id
    left=$(strangers) || return 1
    for stranger in $left; do id=$(id_of "$stranger") && etcdctl member remove "$id" >&2 || return 1; done
}
# In the environment: etcdctl refuses an option that contradicts it.
healthy() { ETCDCTL_ENDPOINTS=$own_endpoint etcdctl --command-timeout=2s endpoint health >/dev/null 2>&1; }

all_healthy() { etcdctl --command-timeout=2s endpoint health >/dev/null 2>&1; }

case $1 in
restart)
    # Under the lock: before, the others would see it as well, and restart one after the other whatever became of this one.
    until_limit "every vote answers before $name is restarted" all_healthy
    systemctl restart etcd
    until_limit "$name votes again" healthy
    ;;
join)
    # It may vote already: its disk was lost, or it was added and did not start. A cluster takes it as a new member only.
    id=$(id_of "$name" "$peer_url")
    [[ -z $id ]] || etcdctl member remove "$id" >&2
    until_limit "the other votes take $name in" add
    # What etcd says of its members now, not what the stack file says of those to come: votes join one after the other.
    grep '^ETCD_INITIAL_CLUSTER' <<<"$added" >"$membership"
    systemctl start etcd
    until_limit "$name votes" healthy
    ;;
forget)
    complete || fail "a vote of the stack file does not run: others stay until it does"
    until_limit "those that left the stack file go" forget
    # The last one may have been the leader: without one the lock under which this runs can't be given back.
    until_limit "the votes that stay have a leader" healthy
    ;;
complete) complete ;;
strangers) strangers ;;
*) fail "no such change: $1" ;;
esac
