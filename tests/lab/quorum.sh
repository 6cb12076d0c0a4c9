#!/bin/bash
# Real etcds on loopback: two votes join a quorum of three at the same time, one that lost its disk comes back, one that left goes.
# Usage: quorum.sh MEMBERSHIP_SH.
set -euo pipefail
program=$(readlink -f -- "$1")
folder=$(mktemp --directory)
end() {
    local file
    for file in "$folder"/*.pid; do kill -KILL "$(<"$file")" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap end EXIT
all="one two three four five"
declare -A port=([one]=23701 [two]=23711 [three]=23721 [four]=23731 [five]=23741)
peer() { echo "http://127.0.0.1:$((${port[$1]} + 1))"; }
export ETCDCTL_ENDPOINTS=127.0.0.1:23701,127.0.0.1:23711,127.0.0.1:23721
export PATH=$folder/bin:$PATH

mkdir "$folder/bin"
# Stands for systemd: starts the etcd of the server that $VOTE names.
cat >"$folder/bin/systemctl" <<END
#!/bin/bash
set -a; . "$folder/\$VOTE.etcd"; . "$folder/\$VOTE.membership"; set +a
etcd >>"$folder/\$VOTE.log" 2>&1 & echo \$! >"$folder/\$VOTE.pid"
END
chmod +x "$folder/bin/systemctl"

configure() { # NAME VOTES: what the program would put on the server
    cat >"$folder/$1.env" <<END
name=$1
peer_url=$(peer "$1")
own_endpoint=127.0.0.1:${port[$1]}
votes="$2"
END
    cat >"$folder/$1.etcd" <<END
ETCD_NAME=$1
ETCD_DATA_DIR=$folder/$1.data
ETCD_LISTEN_PEER_URLS=$(peer "$1")
ETCD_LISTEN_CLIENT_URLS=http://127.0.0.1:${port[$1]}
ETCD_INITIAL_ADVERTISE_PEER_URLS=$(peer "$1")
ETCD_ADVERTISE_CLIENT_URLS=http://127.0.0.1:${port[$1]}
END
}
as() { # NAME VERB: the program on that server, alone
    VOTE=$1 QUORUM=$folder/$1.env MEMBERSHIP=$folder/$1.membership etcdctl lock perenne/restart "$program" "$2" </dev/null >&2
}
expect() { # WHEN MEMBERS
    local found
    found=$(etcdctl member list | awk -F ', ' '{ print $3 }' | sort | paste --serial --delimiters=' ')
    [[ $found == "$2" ]] || { echo "$1: members are $found, not $2" >&2; exit 1; }
}

answer() { # NAME…: until these, without the others, have a leader
    local name endpoints=""
    for name in "$@"; do endpoints+=${endpoints:+,}127.0.0.1:${port[$name]}; done
    until ETCDCTL_ENDPOINTS=$endpoints etcdctl endpoint health >/dev/null 2>&1; do sleep 0.1; done
}

cluster="one=$(peer one),two=$(peer two),three=$(peer three)"
for vote in one two three; do
    configure $vote "$all"
    printf 'ETCD_INITIAL_CLUSTER=%s\nETCD_INITIAL_CLUSTER_STATE=new\n' "$cluster" >"$folder/$vote.membership"
    VOTE=$vote systemctl start etcd
done
answer one two three
etcdctl put kept yes >/dev/null
expect "at first" "one three two"

configure four "$all"
configure five "$all"
as four join &
as five join &
wait
QUORUM=$folder/one.env "$program" complete
expect "when two joined" "five four one three two"

kill -KILL "$(<"$folder/two.pid")"
answer one three # it may have been the leader
rm -rf "$folder/two.data" "$folder/two.membership"
ETCDCTL_ENDPOINTS=127.0.0.1:23701,127.0.0.1:23721 as two join
QUORUM=$folder/one.env "$program" complete
expect "when one came back" "five four one three two"

for vote in $all; do configure "$vote" "one two four"; done
[[ $(QUORUM=$folder/one.env "$program" strangers | sort | paste --serial --delimiters=' ') == "five three" ]]
kill -KILL "$(<"$folder/two.pid")" # while a vote that stays is away, nobody goes
answer one three four five
configure one "one two four six"
as one forget || true
expect "while one is away" "five four one three two"
VOTE=two systemctl start etcd
answer two
configure one "one two four"
as one forget
expect "when two left" "four one two"
[[ $(etcdctl get kept --print-value-only) == yes ]]
echo "as expected"
