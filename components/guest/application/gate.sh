#!/bin/bash
# The gate before this server's HTTPS port. While it is closed, every new connection from another machine is refused (TCP reset)
# and those that are there go on: balancers open one for every request, and send a refused one, whatever its method, to
# another node at once. What runs on this server itself still gets in.
#
#   gate close WHY TEXT   for a further reason: a word, and what it means
#   gate release WHY      the reason is gone (perenne-gate opens the gate when there is none left)
#   gate state            prints "open", or why it is closed, a line for each reason
#   gate is-open          status 0 if there is no reason, and the kernel lets connections in
#   gate empty MS         returns once no connection from another machine is left; status 1 if that takes longer (milliseconds)
#   gate shut, gate open  what perenne-gate does with the reasons
#
# A reason is a file, so it outlives whoever gave it: below /run until the next boot; the mark of a drain for good.
set -euo pipefail

port=8443
reasons=/run/perenne/closed
mark=/var/lib/perenne/drained
# Nobody can leave the gate closed by dying: the kernel opens it unless perenne-gate says again in time that it is to be closed.
forgotten_after=10s

# One transaction each, which says the whole of what shall be there, so it can be repeated.
shut_gate() {
    nft -f - <<RULES
add table inet perenne_gate
add set inet perenne_gate closed { type inet_service; flags timeout; }
flush set inet perenne_gate closed
add element inet perenne_gate closed { $port timeout $forgotten_after }
add chain inet perenne_gate input { type filter hook input priority filter; policy accept; }
flush chain inet perenne_gate input
add rule inet perenne_gate input iifname != "lo" tcp dport @closed tcp flags & (fin | syn | rst | ack) == syn reject with tcp reset
RULES
}

open_gate() {
    nft -f - <<RULES
add table inet perenne_gate
delete table inet perenne_gate
RULES
}

connections() {
    # From another machine: what comes from this one has the same address at both ends.
    ss --no-header --numeric --tcp state established "( sport = :$port )" |
        awk '{ local = $3; peer = $4; sub(/:[0-9]+$/, "", local); sub(/:[0-9]+$/, "", peer) } local != peer'
}

state() {
    local file found=
    if [[ -e $mark ]]; then
        echo "drained"
        found=yes
    fi
    for file in "$reasons"/*; do
        [[ -e $file ]] || continue
        cat "$file"
        found=yes
    done
    [[ $found ]] || echo "open"
}

case ${1-} in
close)
    install --directory "$reasons"
    echo "$3" >"$reasons/$2"
    shut_gate
    ;;
release) rm -f "$reasons/$2" ;;
state) state ;;
is-open) [[ $(state) == open ]] && ! nft list set inet perenne_gate closed 2>/dev/null | grep --quiet elements ;;
shut) shut_gate ;;
open) open_gate ;;
empty)
    end=$((${EPOCHREALTIME/./} + $2 * 1000))
    while [[ $(connections) ]]; do
        ((${EPOCHREALTIME/./} < end)) || exit 1
        sleep 0.05
    done
    ;;
*)
    echo "usage: gate close WHY TEXT | release WHY | state | is-open | empty MS | shut | open" >&2
    exit 2
    ;;
esac
