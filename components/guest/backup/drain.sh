#!/bin/bash
# Takes this server out of use, which only keeps backups, so that it can be stopped; `drain undo` takes it back. Idempotent.
set -euo pipefail
mark=/var/lib/perenne/drained
if [[ ${1-} != undo ]]; then
    touch "$mark"
    exit
fi
systemctl start perenne-backup.timer perenne-wal.service
end=$((SECONDS + 60))
until compgen -G '/var/lib/perenne-backup/wal/*.partial' >/dev/null && systemctl is-active --quiet perenne-wal.service; do
    if ((SECONDS >= end)); then
        echo "PostgreSQL's log does not arrive within 60 s (journalctl -u perenne-wal)" >&2
        exit 1
    fi
    sleep 0.2
done
rm -f "$mark"
