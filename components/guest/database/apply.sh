# shellcheck shell=bash disable=SC2154  # lower-case variables come from the role's env file
# Database: PostgreSQL under Patroni, and keepalived that gives the database's address to the primary. Runs after the quorum role.

# Debian would make and start a cluster of its own; Patroni makes this one.
install -D --mode=0644 /dev/stdin /etc/postgresql-common/createcluster.conf <<<"create_main_cluster = false"
need curl keepalived patroni postgresql-15 python3-etcd
need_user keepalived_script /nonexistent
install_files
if changed /etc/sysctl.d/; then sysctl --quiet --load /etc/sysctl.d/60-perenne*.conf; fi

# Debian's package is there for its unit and for the libraries that it depends on.
need_release patroni

api() { curl --silent --fail --max-time 2 --cacert /etc/perenne/tls/ca.pem "https://$1:8008/$2"; }
# Roles keep their old passwords until the primary is told the new ones: by whoever is the primary, were it to change just now.
passwords_set() {
    local role
    if api 127.0.0.1 primary; then
        runuser --user postgres -- psql --quiet --set=ON_ERROR_STOP=1 --file=/etc/patroni/passwords.sql </dev/null || return 1
    fi
    for role in postgres replicator rewind; do
        PGPASSFILE=/etc/patroni/passwords psql --no-password --command='SELECT 1' </dev/null "host=$database_address user=$role \
            dbname=postgres sslmode=verify-full sslrootcert=/etc/perenne/tls/ca.pem connect_timeout=2" || return 1
    done
}
# Patroni 4.1 passes over a new certificate if something else in its configuration has changed with it: the next signal finds it.
shows_its_certificate() {
    local shown
    shown=$(openssl s_client -connect 127.0.0.1:8008 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint) || return 1
    [[ $shown == "$(openssl x509 -noout -fingerprint -in /etc/perenne/tls/postgres.pem)" ]] && return
    systemctl reload patroni
    return 1
}
ctl() { /usr/local/bin/patronictl --config-file /etc/patroni/perenne "$@" </dev/null >&2; }

# Containers have their machine's kernel, and no watchdog of their own.
if ! systemd-detect-virt --quiet --container; then
    modprobe softdog || fail "the kernel has no module softdog, which is Patroni's watchdog (Debian's kernels have it)"
    udevadm control --reload
    udevadm trigger --action=add --sysname-match=watchdog --settle
fi

systemctl disable --quiet --now postgresql
systemctl enable --quiet patroni
if ! systemctl is-active --quiet patroni; then
    systemctl start patroni
else
    if changed /etc/systemd/system/patroni.service.d/ /usr/local/lib/perenne/start-patroni /usr/local/share/perenne/patroni.txt; then
        # Stopped in an orderly way, Patroni stops PostgreSQL too. Killed, it is back within a second, and the lease outlasts that.
        systemctl kill --kill-whom=main --signal=KILL patroni
        wait_for 60 "Patroni is back (journalctl -u patroni)" api 127.0.0.1 health
    elif changed /etc/patroni/perenne/ /etc/perenne/tls/; then
        systemctl reload patroni
    fi
    if changed /etc/patroni/passwords.sql; then
        wait_for 60 "the primary has the roles' new passwords (journalctl -u patroni)" passwords_set
    fi
    if changed /etc/perenne/tls/; then
        runuser --user postgres -- psql --quiet --command='SELECT pg_reload_conf()' </dev/null >/dev/null
    fi
    if changed /etc/patroni/dynamic.json; then
        ctl edit-config --force --quiet --replace /etc/patroni/dynamic.json
    fi
fi
wait_for 180 "Patroni shows its certificate (journalctl -u patroni)" shows_its_certificate
wait_for 180 "PostgreSQL runs (journalctl -u patroni)" api 127.0.0.1 health

# The agent comes with a role of its own; one that the stack file no longer asks for goes here.
if [[ $fencing == no && -e /etc/systemd/system/perenne-fencing.service ]]; then
    systemctl disable --quiet --now perenne-fencing
    rm -rf /usr/local/lib/perenne/fencing /etc/perenne/fencing /etc/perenne/fencing.env /var/lib/perenne/fencing.json
    rm /etc/systemd/system/perenne-fencing.service
    systemctl daemon-reload
fi

systemctl enable --quiet perenne-postmaster
if changed /etc/systemd/system/perenne-postmaster.service /usr/local/lib/perenne/watch-postmaster; then
    systemctl restart perenne-postmaster
else
    systemctl start perenne-postmaster
fi

# A new value that PostgreSQL only takes at its start: standbys first, then the primary, one at a time.
pending() { api "$1" patroni | grep --quiet '"pending_restart": true'; }
standbys_done() {
    local peer
    for peer in $peers; do if pending "$peer"; then return 1; fi; done
}
if changed /etc/patroni/dynamic.json && pending 127.0.0.1; then
    if api 127.0.0.1 primary >/dev/null; then wait_for 120 "the standbys have restarted" standbys_done; fi
    ctl restart --force --pending "$cluster" "$name"
fi

apply_keepalived "$address"
# One that is drained (/usr/local/lib/perenne/drain) is not synchronous on purpose.
has_standby() { api 127.0.0.1 cluster | grep --quiet --extended-regexp '"sync_standby"|"nosync": true'; }
wait_for 180 "a standby is synchronous (patronictl -c /etc/patroni/perenne list)" has_standby
wait_for 30 "the database's address $database_address is at the primary (journalctl -u keepalived)" api "$database_address" primary
done_with_files
