#!/bin/bash
# Makes a base backup, checks it, and removes those that are older than the ones to keep.
# shellcheck disable=SC2154  # variables come from the env file
set -euo pipefail
# shellcheck source=/dev/null
. /etc/perenne/backup.env

base=$state/base
rm -rf "$base"/.*.partial
partial=$base/.new.partial
trap 'rm -rf "$partial"' EXIT
"$programs/pg_basebackup" --dbname="$base_connection" --no-password --pgdata="$partial" --checkpoint=fast --wal-method=stream \
    --max-rate="$rate" --manifest-checksums=SHA256
"$programs/pg_verifybackup" --quiet "$partial"
sync --file-system "$base"
# By its end: no restore can go back to a moment before that. A clock that was ahead once must not make an old one the newest.
made=$(date --utc +%Y%m%dT%H%M%SZ)
newest=$(find "$base" -mindepth 1 -maxdepth 1 -name '[0-9]*' -printf '%f\n' | sort | tail -1)
if [[ ! $made > $newest ]]; then
    echo "it is $made by this server's clock, and there is a backup of $newest: set the clock, or remove that backup" >&2
    exit 1
fi
mv --no-target-directory "$partial" "$base/$made"

mapfile -t kept < <(find "$base" -mindepth 1 -maxdepth 1 -name '[0-9]*' -printf '%f\n' | sort --reverse)
for obsolete in "${kept[@]:keep}"; do rm -rf "${base:?}/$obsolete"; done
oldest=$base/${kept[$((${#kept[@]} < keep ? ${#kept[@]} - 1 : keep - 1))]}
first=$(sed -n 's/^START WAL LOCATION: .* (file \([0-9A-F]*\))$/\1/p' "$oldest/backup_label")
"$programs/pg_archivecleanup" "$state/wal" "$first"
find "$state" -mindepth 1 -maxdepth 1 -name 'wal-until-*' ! -newer "$oldest/backup_label" -exec rm -rf {} +
