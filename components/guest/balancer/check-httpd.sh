#!/bin/bash
# Whether this server may hold the site's address. keepalived asks, with the other balancers as arguments, and gives the address up
# after two failures. Without arguments: whether httpd serves.
# shellcheck source=/dev/null disable=SC2154  # site_name, site_address and applications come from the env file
. /etc/perenne/balancer.env

# serves SECONDS ADDRESS [health|standby]. A certificate that the company gave has no name but the site's.
serves() {
    curl --silent --fail --max-time "$1" --output /dev/null --cacert /etc/perenne/tls/site-ca.pem \
        --connect-to "::$2:443" "https://$site_name/perenne/${3:-health}"
}

holds_address() {
    [[ $(ip -oneline address show to "$site_address/32") ]]
}

# A connection that is refused has reached a machine, too.
reaches() {
    local said
    said=$(LC_ALL=C timeout 0.6 bash -c ": <>/dev/tcp/$1/$2" 2>&1) || [[ $said == *refused* ]]
}

if (($# == 0)); then
    serves 0.5 127.0.0.1
    exit
fi

# Drained, it takes the address only if it is answered nowhere else: serving comes before being spared.
if [[ -e /var/lib/perenne/drained ]] && ! holds_address; then
    serves 0.5 "$site_address" && exit 1
fi

# httpd does not serve, and does at another balancer, which can take the address if it is here. If there is none, as when all are
# overloaded, a move would only break connections.
if ! serves 0.5 127.0.0.1; then
    if holds_address; then question=standby; else question=health; fi
    for peer in "$@"; do
        serves 0.3 "$peer" "$question" && exit 1
    done
fi

# Who reaches neither a balancer nor an application server is cut off and serves nobody. It does not hear that another balancer has
# taken the address: it would go on answering ARP for it, and claim it from the other one when it is back.
for peer in "$@"; do
    reaches "$peer" 443 && exit 0
done
for application in $applications; do
    reaches "$application" 8443 &
done
for _ in $applications; do
    wait -n && exit 0
done
exit 1
