#!/bin/bash
# Takes this witness out of use, so that it can be stopped without anybody noticing; `drain undo` takes it back. Idempotent.
set -euo pipefail
mark=/var/lib/perenne/drained
exec 9>/run/perenne-drain.lock
flock --wait 60 9 || {
    echo "another drain or undrain has been at work for a minute" >&2
    exit 1
}

if [[ ${1-} == undo ]]; then
    systemctl start etcd
    export ETCDCTL_API=3 ETCDCTL_CACERT=/etc/perenne/tls/ca.pem
    export ETCDCTL_CERT=/etc/perenne/tls/etcd.pem ETCDCTL_KEY=/etc/perenne/tls/etcd.pem
    end=$((SECONDS + 60))
    until etcdctl --command-timeout=2s --endpoints=127.0.0.1:2379 endpoint health >/dev/null 2>&1; do
        ((SECONDS < end)) || {
            echo "etcd does not answer within 60 s (journalctl -u etcd)" >&2
            exit 1
        }
        sleep 0.2
    done
    rm -f "$mark"
    exit
fi

/usr/local/lib/perenne/yield-quorum
touch "$mark"
