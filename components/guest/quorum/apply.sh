# shellcheck shell=bash disable=SC2154  # lower-case variables come from the role's env file
# Quorum: one vote of etcd. The servers of a quorum are set up at the same time: none is ready before most of them run.

need curl etcd-client etcd-server
install_files
apply_common

data=/var/lib/etcd/perenne
membership=/etc/default/etcd-membership
export ETCDCTL_ENDPOINTS=$endpoints ETCDCTL_CACERT=/etc/perenne/tls/ca.pem
export ETCDCTL_CERT=/etc/perenne/tls/etcd.pem ETCDCTL_KEY=/etc/perenne/tls/etcd.pem

# One server at a time changes its membership or restarts, by a lock that the others keep: two at once would stop the quorum. What
# is done under it ends within 60 s.
alone() { timeout 600 etcdctl lock perenne/restart -- "$@" >&2 </dev/null; }
# Those of the other votes that run and have a quorum: others are being set up at the same time.
answering() {
    local endpoint
    for endpoint in ${other_endpoints//,/ }; do
        # In the environment: etcdctl refuses an option that contradicts it.
        if ETCDCTL_ENDPOINTS=$endpoint etcdctl --command-timeout=2s endpoint health >/dev/null 2>&1; then
            echo "$endpoint"
        fi
    done | paste --serial --delimiters=,
}
members=/usr/local/lib/perenne/etcd-membership
others=
# Its disk is empty. Where a quorum runs without it, this server is a further vote, or one that was made anew.
if [[ ! -d $data/member ]]; then
    rm -f "$membership"
    systemctl stop etcd # Debian's own, with a folder of its own, where the template has started it
    others=$(answering)
    if [[ $others ]]; then
        ETCDCTL_ENDPOINTS=$others alone $members join
        # Some releases of etcdctl hide how the command ended.
        systemctl is-active --quiet etcd || fail "it can't join the votes that run (journalctl -u etcd)"
    fi
fi

systemctl enable --quiet etcd
if ! systemctl is-active --quiet etcd; then
    systemctl start etcd || fail "etcd does not start (journalctl -u etcd)"
elif [[ ! $others ]] && changed /etc/default/etcd /etc/perenne/tls/ca.pem /etc/systemd/system/; then
    alone $members restart
    # Some releases of etcdctl hide how the command ended.
    ETCDCTL_ENDPOINTS=$own_endpoint etcdctl --command-timeout=2s endpoint health >/dev/null 2>&1 ||
        fail "etcd was not restarted, or does not answer since (journalctl -u etcd)"
fi # certificates are read anew for every connection, but not the authority's (etcd-io/etcd#11555)
wait_for 60 "etcd has a quorum (journalctl -u etcd)" etcdctl --command-timeout=2s get perenne
if [[ $($members strangers) ]]; then
    # New votes join first: for them the lock must be free.
    wait_for 120 "every vote of the stack file runs before others leave the quorum" $members complete
    alone $members forget
    [[ -z $($members strangers) ]] || fail "a vote that left the stack file is still a member"
fi
done_with_files
