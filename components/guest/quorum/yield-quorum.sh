#!/bin/bash
# Makes ready for this vote of etcd to be away: every other vote answers, and one of them leads. Does nothing where that is already so.
# shellcheck disable=SC2154  # variables come from the env file
set -euo pipefail
# shellcheck source=/dev/null
. /etc/perenne/quorum.env
export ETCDCTL_API=3 ETCDCTL_CACERT=/etc/perenne/tls/ca.pem
export ETCDCTL_CERT=/etc/perenne/tls/etcd.pem ETCDCTL_KEY=/etc/perenne/tls/etcd.pem
own=127.0.0.1:2379

fail() {
    echo "$*" >&2
    exit 1
}

etcdctl --command-timeout=3s endpoint health --endpoints="$other_endpoints" >/dev/null 2>&1 ||
    fail "another vote of etcd does not answer, so that this one is needed: bring it back first (./perenne status)"
status=$(etcdctl --command-timeout=3s --endpoints="$own" endpoint status) || fail "this vote of etcd does not answer (journalctl -u etcd)"
if [[ $(awk -F ', ' '{ print $5 }' <<<"$status") == true ]]; then # endpoint, id, version, size, is leader, …
    heir=$(etcdctl --command-timeout=3s --endpoints="$own" member list |
        awk -F ', ' -v name="$name" '$2 == "started" && $3 != name { print $1 " " $3; exit }')
    # An election after this one has gone takes a second or two, in which Patroni can write nothing.
    etcdctl --command-timeout=3s --endpoints="$own" move-leader "${heir% *}" >/dev/null || fail "etcd's lead can't be handed to ${heir#* }"
    echo "etcd is led by ${heir#* } now"
fi
