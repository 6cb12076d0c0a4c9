# shellcheck shell=bash disable=SC2154  # lower-case variables come from the role's env file
# Quorum: one vote of etcd. The servers of a quorum are set up at the same time: none is ready before most of them run.

need curl etcd-client etcd-server
install_files
apply_common

data=/var/lib/etcd/perenne
membership=/etc/default/etcd-membership
export ETCDCTL_ENDPOINTS=$endpoints ETCDCTL_CACERT=/etc/perenne/tls/ca.pem
export ETCDCTL_CERT=/etc/perenne/tls/etcd.pem ETCDCTL_KEY=/etc/perenne/tls/etcd.pem

# This server votes already but its disk is empty: it was made anew. A cluster that runs takes it back only as a new member.
rejoin() {
    local id
    id=$(etcdctl member list | awk -F ', ' -v name="$name" '$3 == name && $2 == "started" { print $1 }')
    [[ $id ]] || return 0
    etcdctl member remove "$id" >&2
    etcdctl member add "$name" --peer-urls="$peer_url" >&2
    echo ETCD_INITIAL_CLUSTER_STATE=existing >"$membership"
}
others_answer() { etcdctl --command-timeout=2s endpoint health --endpoints="$other_endpoints" >/dev/null 2>&1; }
if [[ ! -d $data/member ]]; then
    rm -f "$membership"
    if others_answer; then rejoin; fi
fi

systemctl enable --quiet etcd
if ! systemctl is-active --quiet etcd; then
    systemctl start etcd || fail "etcd does not start (journalctl -u etcd)"
elif changed /etc/default/etcd /etc/perenne/tls/ca.pem /etc/systemd/system/; then
    # One at a time, by a lock that etcd itself keeps: two restarted together would stop the quorum.
    wait_for 60 "every vote of etcd answers before this one is restarted" etcdctl --command-timeout=2s endpoint health
    etcdctl lock perenne/restart bash -c \
        'systemctl restart etcd && until etcdctl --command-timeout=2s endpoint health; do sleep 0.2; done' >&2 </dev/null
fi # certificates are read anew for every connection, but not the authority's (etcd-io/etcd#11555)
wait_for 60 "etcd has a quorum (journalctl -u etcd)" etcdctl --command-timeout=2s get perenne
done_with_files
