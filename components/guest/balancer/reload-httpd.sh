#!/bin/bash
# How httpd reloads (systemctl reload apache2; logrotate does it every day): without users. A graceful restart starts new processes
# as old ones end, and closes kept connections: for a second or two nobody accepts (drill reload-balancer: 233 failed requests).
set -euo pipefail

generation() {
    curl --silent --fail --max-time 1 'http://127.0.0.1:8081/server-status?auto' |
        sed --quiet 's/^ParentServerMPMGeneration: //p'
}

apachectl configtest
# No other balancer can take the address: then users have to stand it.
/usr/local/lib/perenne/hand-over || echo "perenne: httpd reloads under its users" >&2

# Nobody hands the address over to this balancer meanwhile.
trap 'rm --force /run/perenne/reloading' EXIT
touch /run/perenne/reloading
before=$(generation || true)
apachectl graceful
end=$((SECONDS + 15))
until after=$(generation) && [[ $after != "$before" ]]; do
    if ((SECONDS >= end)); then
        echo "perenne: httpd has not reloaded within 15 s (/var/log/apache2/error.log)" >&2
        exit 1
    fi
    sleep 0.1
done
