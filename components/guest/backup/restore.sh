#!/bin/bash
# restore DIRECTORY [TIME]   puts the last base backup (ended before TIME, UTC if it names no zone) into DIRECTORY, ready to
#                            recover to now (or to TIME) when PostgreSQL starts on it
# restore --rehearse         does so in a scratch directory, starts PostgreSQL on it, says what came back, and removes it
# shellcheck disable=SC2154  # variables come from the env file
set -euo pipefail
# shellcheck source=/dev/null
. /etc/perenne/backup.env

restore() { # DIRECTORY TIME
    local directory=$1 time=$2 limit='' chosen
    [[ ! -e $directory ]] || [[ -z $(ls -A "$directory") ]] || { echo "restore: $directory is not empty" >&2; exit 1; }
    if [[ $time ]]; then
        limit=$(date --utc --date="$time" +%Y%m%dT%H%M%SZ)
        time=$(date --utc --date="$time" '+%F %T.%6N+00') # PostgreSQL's zone need not be UTC
    fi
    # A name is the second in which a backup ended: within that second it may have been after TIME.
    chosen=$(find "$state/base" -mindepth 1 -maxdepth 1 -name '[0-9]*' -printf '%f\n' | sort |
        awk -v limit="$limit" 'limit == "" || $1 < limit { last = $1 } END { print last }')
    [[ $chosen ]] || { echo "restore: there is no backup that had ended before ${time:-now}" >&2; exit 1; }
    mkdir -p "$directory"
    cp --archive "$state/base/$chosen/." "$directory"
    chmod 0700 "$directory"
    {
        # The last, unfinished segment carries .partial.
        echo "restore_command = 'cp $state/wal/%f \"%p\" 2>/dev/null || cp $state/wal/%f.partial \"%p\" 2>/dev/null'"
        echo "recovery_target_timeline = 'latest'"
        if [[ $time ]]; then echo "recovery_target_time = '$time'"; fi
        echo "recovery_target_action = 'promote'"
    } >>"$directory/postgresql.auto.conf"
    touch "$directory/recovery.signal"
    echo "restored $chosen into $directory"
}

rehearse() {
    local scratch
    scratch=$(mktemp --directory "$state/rehearsal.XXXXXX")
    # shellcheck disable=SC2064  # this scratch directory
    trap "'$programs/pg_ctl' --pgdata='$scratch/data' --mode=immediate --silent stop 2>/dev/null || true; rm -rf '$scratch'" EXIT
    restore "$scratch/data" ""
    echo "local all postgres trust" >"$scratch/hba"
    "$programs/pg_ctl" --pgdata="$scratch/data" --log="$scratch/log" --timeout=600 --silent start --options="-c ssl=off \
        -c listen_addresses= -c unix_socket_directories=$scratch -c archive_mode=off -c shared_buffers=16MB \
        -c synchronous_standby_names= -c hba_file=$scratch/hba" || { cat "$scratch/log" >&2; exit 1; }
    until [[ $("$programs/psql" --host="$scratch" --username=postgres --tuples-only --no-align \
        --command='SELECT pg_is_in_recovery()') == f ]]; do sleep 0.2; done
    "$programs/psql" --host="$scratch" --username=postgres --tuples-only --no-align --field-separator=' ' \
        --command="SELECT datname, pg_size_pretty(pg_database_size(oid)) FROM pg_database WHERE NOT datistemplate ORDER BY 1"
    if [[ ${1:-} ]]; then
        "$programs/psql" --host="$scratch" --username=postgres --dbname="$1" --tuples-only --no-align --command="$2"
    fi
}

[[ $(id --user --name) == perenne-backup ]] || exec runuser --user perenne-backup -- "$0" "$@"
case ${1:-} in
--rehearse) rehearse "${2:-}" "${3:-}" ;;
/*) restore "$1" "${2:-}" ;;
*) sed -n '2,4s/^# //p' "$0" >&2; exit 2 ;;
esac
