#!/bin/bash
# Receives PostgreSQL's log until the connection ends; systemd starts it again.
# shellcheck disable=SC2154  # variables come from the env file
set -euo pipefail
# shellcheck source=/dev/null
. /etc/perenne/backup.env

errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
# No replication slot: one that nobody reads from any more fills the primary's disk. wal_keep_size bridges an interruption.
if ! "$programs/pg_receivewal" --directory="$state/wal" --dbname="$connection" --no-password --status-interval=1 \
    2> >(tee "$errors" >&2); then
    # The second is what a new primary says that has less than was received of the lost one.
    if grep --quiet --extended-regexp "has already been removed|is not in this server's history" "$errors"; then
        # A gap: what comes after it goes into a folder of its own; the next base backup closes it.
        mv "$state/wal" "$state/wal-until-$(date --utc +%Y%m%dT%H%M%SZ)"
        mkdir "$state/wal"
    fi
    exit 1
fi
