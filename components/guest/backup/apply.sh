# shellcheck shell=bash disable=SC2154  # lower-case variables come from the role's env file
# Backup: base backups on a schedule, and the WAL, streamed. Beside another role, that one brings the common files.

need postgresql-client-15 postgresql-15
need_user perenne-backup /var/lib/perenne-backup
# The server's own PostgreSQL is here to rehearse a restore, never to serve.
systemctl disable --quiet --now postgresql
install_files
apply_common

systemctl enable --quiet perenne-backup.timer perenne-wal.service
if changed /etc/systemd/system/ /etc/perenne/ /usr/local/lib/perenne/receive-wal; then
    systemctl restart perenne-backup.timer perenne-wal.service
else
    systemctl start perenne-backup.timer perenne-wal.service
fi
receives() { compgen -G '/var/lib/perenne-backup/wal/*.partial' >/dev/null; }
wait_for 60 "PostgreSQL's log arrives (journalctl -u perenne-wal)" receives
# The first backup now, not on the first night; later runs find one and leave it to the timer.
compgen -G '/var/lib/perenne-backup/base/[0-9]*' >/dev/null || systemctl start perenne-backup.service ||
    fail "the first backup failed (journalctl -u perenne-backup)"
done_with_files
