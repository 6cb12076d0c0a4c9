#!/bin/sh
# Whether this server may hold the site's address: httpd serves, or it does not at the other balancers (the arguments) either, as
# when all are overloaded; then a move would only break connections. keepalived asks, and gives the address up after two failures.
serves() {
    curl --silent --fail --max-time "$1" --output /dev/null --cacert /etc/perenne/tls/ca.pem \
        --connect-to "::$2:443" https://127.0.0.1/perenne/health
}

serves 0.5 127.0.0.1 && exit 0
for peer in "$@"; do
    serves 0.3 "$peer" && exit 1
done
[ $# -gt 0 ]
