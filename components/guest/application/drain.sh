#!/bin/bash
# Takes this application server out of service, without a request lost: its gate closes, and stays closed whatever restarts,
# also after a reboot, until undrain. Returns 0 once no request is in progress here. WildFly itself goes on running.
# shellcheck disable=SC2154  # longest_answer comes from the env file
set -euo pipefail

mark=/var/lib/perenne/drained
# longest_answer: seconds that a balancer waits for an answer; after that nobody hears it any more.
# shellcheck source=/dev/null
. /etc/perenne/application.env

fail() {
    echo "drain: $(uname -n): $*" >&2
    exit 1
}

# One whose connection was lost may still be at work, or an undrain that would be overtaken.
exec 9>/run/perenne-drain.lock
flock --wait 60 9 || fail "another drain or undrain has been at work for a minute"
[[ -e $mark ]] || { install --directory "${mark%/*}" && date --iso-8601=seconds >"$mark"; }
/usr/local/lib/perenne/gate shut || fail "the gate can't be closed (nft list ruleset; journalctl -u perenne-gate)"
/usr/local/lib/perenne/gate empty "${longest_answer}000" ||
    fail "requests are still in progress after $longest_answer s (ss -tn state established '( sport = :8443 )'); new ones go to other" \
        "nodes: run drain again to go on waiting, undrain to take it back"
